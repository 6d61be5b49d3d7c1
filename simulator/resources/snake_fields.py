"""Reading of v1 request bodies: snake_case, unknown fields are ignored, types and ranges are checked."""

from collections.abc import Collection, Mapping
from typing import Any

from simulator.clock import parse_time
from simulator.errors import bad_request
from simulator.world import Project


def read_text(fields: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there. Raises 400."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} is required", param=name)
    return value


def read_word(
    fields: Mapping[str, Any], name: str, words: Collection[str], *, default: str | None = None
) -> str:
    """Return one of the known words. Raises 400."""
    value = fields.get(name, default)
    if value is None:
        raise bad_request(f"{name} is required", param=name)
    if value not in words:
        raise bad_request(f"{name} must be one of {', '.join(words)}", param=name)
    return str(value)


def read_count(
    fields: Mapping[str, Any], name: str, *, least: int = 0, multiple_of: int = 1, default: int | None = None
) -> int:
    """Return a whole number; without a default it must be there. Raises 400."""
    value = fields.get(name)
    if value is None:
        if default is None:
            raise bad_request(f"{name} is required", param=name)
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise bad_request(f"{name} must be a whole number of at least {least}", param=name)
    if value % multiple_of:
        raise bad_request(f"{name} must be a multiple of {multiple_of}", param=name)
    return value


def read_moment(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a time in milliseconds; None = not given. Raises 400."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        return parse_time(value)
    except (TypeError, ValueError) as error:
        raise bad_request(f"{name} must be an RFC 3339 time", param=name) from error


def read_project(fields: Mapping[str, Any], projects: Mapping[str, Project], own: Project) -> Project:
    """Return the project that `project_id` names, the key's if it is absent. Raises 400 for a foreign one."""
    project_id = fields.get("project_id")
    if project_id is None:
        return own
    project = projects.get(project_id)
    if project is None or project.organization != own.organization:
        raise bad_request(f"project {project_id} not found", param="project_id")
    return project
