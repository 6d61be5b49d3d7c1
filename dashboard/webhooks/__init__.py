"""Sending to addresses that people give: the second and last way out over HTTP (docs/adr/0015)."""
