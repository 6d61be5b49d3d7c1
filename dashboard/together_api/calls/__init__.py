"""Every call of the API that the product uses, as flows (see `requests`); `client` binds them to a transport."""
