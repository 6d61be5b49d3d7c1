"""Tell open pages about an act."""

from dashboard.core import live
from dashboard.lifecycle.models import StopAction


def announce_act(action: StopAction) -> None:
    """Queue a notice for the pages that show the act or what it is about. One statement."""
    if action.resource_id is not None:
        live.announce(["actions", "resources"])
    else:
        live.announce(["actions", "endpoints"], ids=[action.endpoint_id] if action.endpoint_id else [])
