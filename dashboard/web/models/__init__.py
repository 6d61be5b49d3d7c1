"""Pages of models: own ones, the catalogue, what is deprecated."""
