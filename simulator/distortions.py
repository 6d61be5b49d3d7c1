"""Changes that a fault makes to an answer after the effect: foreign fields, broken items, wrong pages."""

from collections.abc import Callable
from typing import Any

_ENUM_FIELDS = frozenset(
    {"state", "status", "type", "level", "visibility", "endpointType", "trafficMode", "sourceKind"}
)
# What lists are called in their envelopes, and identities in their items.
_ENVELOPES = ("data", "clusters", "volumes", "regions")
_IDENTITIES = ("id", "cluster_id", "volume_id", "workflow_id", "job_id")


class PageMemory:
    """First page seen per path, which a looping list repeats."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {}


Distortion = Callable[[Any, PageMemory, str], Any]


def _walk(value: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    if isinstance(value, dict):
        for inner in value.values():
            _walk(inner, change)
        change(value)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, change)
    return value


def _add_fields(value: Any, pages: PageMemory, path: str) -> Any:
    def change(found: dict[str, Any]) -> None:
        found["xFutureField"] = {"nested": [1, None, "text"]}

    return _walk(value, change)


def _change_enums(value: Any, pages: PageMemory, path: str) -> Any:
    def change(found: dict[str, Any]) -> None:
        for name in _ENUM_FIELDS & found.keys():
            if isinstance(found[name], str) and found[name].isupper():
                found[name] = found[name].rpartition("_")[0] + "_HIBERNATING"

    return _walk(value, change)


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        return next((value[name] for name in _ENVELOPES if isinstance(value.get(name), list)), None)
    return value if isinstance(value, list) else None


def _break_item(value: Any, pages: PageMemory, path: str) -> Any:
    items = _items(value)
    if items:
        middle = len(items) // 2
        broken = items[middle]
        if isinstance(broken, dict):
            kept = {name: broken[name] for name in _IDENTITIES if name in broken}
            # Numbers where every kind has text.
            items[middle] = kept | {"name": 17, "status": 17, "filename": 17}
        else:
            items[middle] = None
    return value


def _drop_item(value: Any, pages: PageMemory, path: str) -> Any:
    items = _items(value)
    if items:
        del items[len(items) // 2]
    return value


def _empty_list(value: Any, pages: PageMemory, path: str) -> Any:
    items = _items(value)
    if items is not None:
        items.clear()
        if isinstance(value, dict) and "next_cursor" in value:
            value["next_cursor"] = None
    return value


def _null_optionals(value: Any, pages: PageMemory, path: str) -> Any:
    def change(found: dict[str, Any]) -> None:
        for name in {"desiredReplicas", "inactiveTimeout", "message", "details", "hardware"} & found.keys():
            found[name] = None

    return _walk(value, change)


def _duplicate_page(value: Any, pages: PageMemory, path: str) -> Any:
    """Send every item twice, as a list that moves under the reader does."""
    items = _items(value)
    if items is not None:
        items.extend(list(items))
    return value


def _loop_cursor(value: Any, pages: PageMemory, path: str) -> Any:
    """Answer the first page for ever, always with the same cursor."""
    first = pages.first.setdefault(path, value)
    if isinstance(first, dict):
        return {**first, "next_cursor": "bG9vcA"}
    return first


DISTORTIONS: dict[str, Distortion] = {
    "unknown_fields": _add_fields,
    "unknown_enums": _change_enums,
    "malformed_item": _break_item,
    "missing_item": _drop_item,
    "empty_list": _empty_list,
    "null_optionals": _null_optionals,
    "duplicate_page": _duplicate_page,
    "cursor_loop": _loop_cursor,
}
