"""One module per resource; each offers `ROUTES`. A further resource is one more module in `simulator.app.RESOURCES`."""
