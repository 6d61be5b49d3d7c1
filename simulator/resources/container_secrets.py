"""Secrets of a project for its containers: values go in and never come out."""

import re
from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.compute.container_storage import Secret
from simulator.errors import ApiError, bad_request, not_found
from simulator.resources.containers import own_secrets
from simulator.resources.snake_fields import read_count, read_text

_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,100}")
_LEAST_TTL, _MOST_TTL = 86_400, 1_209_600  # seconds: 1 and 14 days (SDK 3.1.1)


def _describe(secret: Secret) -> dict[str, Any]:
    body: dict[str, Any] = {
        "object": "secret",
        "id": secret.secret_id,
        "name": secret.name,
        "description": secret.description,
        "created_by": secret.created_by,
        "created_at": format_time(secret.created_ms),
        "last_updated_by": secret.updated_by,
        "updated_at": format_time(secret.updated_ms),
    }
    if secret.ttl_seconds is not None and secret.expires_ms is not None:
        body |= {"ttl_seconds": secret.ttl_seconds, "expires_at": format_time(secret.expires_ms)}
    return body


def _find(call: Call) -> Secret:
    secrets, wanted = own_secrets(call), call.path["identifier"]
    for secret in secrets.values():
        if wanted in {secret.secret_id, secret.name}:
            return secret
    if call.world.any_id:
        return next(iter(secrets.values()))
    raise not_found("secret", wanted)


def list_secrets(call: Call) -> Response:
    return json_answer({"object": "list", "data": [_describe(one) for one in own_secrets(call).values()]})


def read_secret(call: Call) -> Response:
    return json_answer(_describe(_find(call)))


def create_secret(call: Call) -> Response:
    if call.world.any_id:
        return json_answer(_describe(next(iter(own_secrets(call).values()))))
    fields = call.fields()
    name = _check_name(call, read_text(fields, "name"))
    read_text(fields, "value")
    by = call.identity.api_key_id
    secret = Secret(
        call.world.new_uuid(), call.identity.project.project_id, name, by, call.now_ms,
        str(fields.get("description") or ""), _read_ttl(fields), by, call.now_ms, call.now_ms,
    )  # fmt: skip
    call.world.compute.secrets[secret.secret_id] = secret
    return json_answer(_describe(secret))


def _check_name(call: Call, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise bad_request("name must be 1 to 100 letters, digits, '_', '-', '/' and '.'", param="name")
    if name in own_secrets(call):
        raise ApiError(409, f"a secret named {name} already exists", code="already_exists")
    return name


def _read_ttl(fields: dict[str, Any]) -> int | None:
    if fields.get("ttl_seconds") is None:
        return None
    seconds = read_count(fields, "ttl_seconds", least=_LEAST_TTL)
    if seconds > _MOST_TTL:
        raise bad_request(f"ttl_seconds must be at most {_MOST_TTL}", param="ttl_seconds")
    return seconds


def update_secret(call: Call) -> Response:
    secret = _find(call)
    if call.world.any_id:
        return json_answer(_describe(secret))
    fields = call.fields()
    ttl_seconds = _read_ttl(fields)
    if fields.get("name") not in {None, secret.name}:
        secret.name = _check_name(call, read_text(fields, "name"))
    if fields.get("description") is not None:
        secret.description = str(fields["description"])
    if ttl_seconds is not None:
        secret.ttl_seconds = ttl_seconds
    if ttl_seconds is not None or fields.get("value") is not None:
        secret.kept_since_ms = call.now_ms
    secret.updated_ms, secret.updated_by = call.now_ms, call.identity.api_key_id
    return json_answer(_describe(secret))


def delete_secret(call: Call) -> Response:
    secret = _find(call)
    if not call.world.any_id:
        del call.world.compute.secrets[secret.secret_id]
    return json_answer({})


_BASE = "/v1/deployments/secrets"
ROUTES = [
    route(_BASE, list_secrets),
    route(_BASE, create_secret, "POST"),
    route(f"{_BASE}/{{identifier:path}}", read_secret),
    route(f"{_BASE}/{{identifier:path}}", update_secret, "PATCH"),
    route(f"{_BASE}/{{identifier:path}}", delete_secret, "DELETE"),
]
