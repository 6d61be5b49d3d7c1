"""What the sync has to know of one kind of resource; everything else is the same for all of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.mirror.models import ResourceKind
from dashboard.mirror.resource_readings import ResourceReading
from dashboard.together_api import payloads
from dashboard.together_api.client import AsyncTogetherClient
from dashboard.together_api.pagination import Listing

# The scope of a listing that goes over all the key can see; others are a project's remote id.
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind: its listing, its GET by id, its reading.

    `list` and `get` take the scope after the client: the project's remote id where `is_scoped`, else EVERYWHERE.
    """

    kind: ResourceKind
    payload: type[payloads.Resource]
    list: Callable[[AsyncTogetherClient, str], Awaitable[Listing[Any]]]
    get: Callable[[AsyncTogetherClient, str, str], Awaitable[object]]
    read: Callable[[Any], ResourceReading]
    is_scoped: bool = False

    def scopes(self, project_ids: Sequence[str]) -> Sequence[str]:
        """Return what has to be listed to see all of them."""
        return project_ids if self.is_scoped else (EVERYWHERE,)
