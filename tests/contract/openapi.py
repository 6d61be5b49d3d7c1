"""The provider's specification of April 2026 as a judge of answers, with its known defects excepted by name.

A further resource is one more line in `test_openapi.READS` (or a test that calls `Specification.check`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from jsonschema import Draft202012Validator, FormatChecker

_FILE = Path(__file__).with_name("data") / "openapi-2026-04.json"
Schema = dict[str, Any]


def _take_nullable(schema: Schema) -> Schema:
    """3.0-style `nullable` in a 3.1 document, where it means nothing."""
    if not schema.get("nullable"):
        return schema
    return {"anyOf": [{key: value for key, value in schema.items() if key != "nullable"}, {"type": "null"}]}


def _take_null_in_enum(schema: Schema) -> Schema:
    """An enum with null in it that is typed as string."""
    if None in schema.get("enum", ()) and schema.get("type") == "string":
        return {**schema, "type": ["string", "null"]}
    return schema


def _take_ambiguous_choice(schema: Schema) -> Schema:
    """`oneOf` whose branches overlap: results of an evaluation, arguments of a learning-rate scheduler."""
    if "oneOf" not in schema:
        return schema
    return {**{key: value for key, value in schema.items() if key != "oneOf"}, "anyOf": schema["oneOf"]}


def _take_boolean_beside_choice(schema: Schema) -> Schema:
    """`train_on_inputs`: typed boolean beside a choice of boolean and "auto"."""
    if schema.get("type") == "boolean" and "anyOf" in schema:
        return {key: value for key, value in schema.items() if key != "type"}
    return schema


def _take_other_ids(schema: Schema) -> Schema:
    """`format: uuid` on ids such as `ft-…`."""
    return {key: value for key, value in schema.items() if (key, value) != ("format", "uuid")}


def _take_null_model_facts(schema: Schema) -> Schema:
    """Licence and context length of a model: null in recorded traffic where they do not apply."""
    properties = schema.get("properties", {})
    if not {"license", "context_length"} <= properties.keys():
        return schema
    loose = {name: {"anyOf": [properties[name], {"type": "null"}]} for name in ("license", "context_length")}
    return {**schema, "properties": {**properties, **loose}}


@dataclass(frozen=True)
class Defect:
    """A place where the specification is wrong or old, and how its schemas are read instead."""

    name: str
    mend: Callable[[Schema], Schema]


def _add_members(first: str, *members: str) -> Callable[[Schema], Schema]:
    """Return a reading in which the enum that has `first` also has what SDK 3.1.1 names."""

    def mend(schema: Schema) -> Schema:
        return {**schema, "enum": [*schema["enum"], *members]} if first in schema.get("enum", ()) else schema

    return mend


#: Contract, section 16. The order counts: choices are mended before what stands beside them.
DEFECTS = (
    Defect("ambiguous oneOf", _take_ambiguous_choice),
    Defect("nullable of OpenAPI 3.0", _take_nullable),
    Defect("null in an enum of strings", _take_null_in_enum),
    Defect("boolean beside a choice", _take_boolean_beside_choice),
    Defect("uuid format on fine-tune ids", _take_other_ids),
    Defect("null facts of models (recorded)", _take_null_model_facts),
    Defect(
        "kinds of models that came later (recorded)", _add_members("rerank", "audio", "video", "transcribe")
    ),
    Defect("purposes of files that came later", _add_members("batch-generated", "calibration")),
    Defect(
        "events that came later",
        _add_members("job_restarted", "early_stopped", "tokenized_dataset_upload_complete"),
    ),
    Defect("states of containers that came later", _add_members("Updating", "ScaledToZero")),
    Defect("GPUs of containers that came later", _add_members("h100-40gb-mig", "h200-140gb")),
    Defect("states of volumes that came later", _add_members("provisioning", "deleting", "access_revoked")),
    Defect("GPUs of clusters that came later", _add_members("H100_SXM_INF", "B300_SXM", "GB200_SXM")),
)


def _mend(node: Any) -> Any:
    """Return a schema with every defect excepted, from the leaves up."""
    if isinstance(node, list):
        return [_mend(item) for item in node]
    if not isinstance(node, dict):
        return node
    mended = {key: _mend(value) for key, value in node.items()}
    for defect in DEFECTS:
        mended = defect.mend(mended)
    return mended


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: Any) -> bool:
    return not isinstance(value, str) or bool(UUID(value))


class Specification:
    """Answers by operation, such as `GET /fine-tunes/{id}` (paths without the `/v1` of the server)."""

    def __init__(self, *, mended: bool = True) -> None:
        document = json.loads(_FILE.read_text(encoding="utf-8"))
        self.operations: dict[str, dict[str, Schema]] = document["operations"]
        schemas = document["schemas"]
        self._components = {"schemas": _mend(schemas) if mended else schemas}
        self._mended = mended

    def check(self, operation: str, status: int, body: Any) -> list[str]:
        """Return what is wrong with an answer, as sentences; empty = nothing.

        Raises KeyError for an operation or a status that it does not have.
        """
        answers = self.operations[operation]
        schema = answers.get(str(status)) or answers["default"]
        whole = {**(_mend(schema) if self._mended else schema), "components": self._components}
        validator = Draft202012Validator(whole, format_checker=_FORMATS)
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]


@cache
def specification() -> Specification:
    """Return the specification with its defects mended; read once."""
    return Specification()
