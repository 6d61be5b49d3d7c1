"""What an organisation brings itself: its own models, their revisions, and the imports that fill them."""

from simulator.registry.models import OwnModel, Registry, Revision

__all__ = ["OwnModel", "Registry", "Revision"]
