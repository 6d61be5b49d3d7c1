"""One module per kind of resource: how to list it, how to ask for one, how to read its body."""
