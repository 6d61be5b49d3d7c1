"""Pages of everything that is not an endpoint: one list, one detail frame, parametrised per page."""
