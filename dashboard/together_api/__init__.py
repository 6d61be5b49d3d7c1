"""The Together API over HTTP; start at `client`. Nothing is imported here, so that payloads come without httpx."""
