"""Cut what the contract tests need out of the provider's OpenAPI specification: JSON answers and their schemas.

    .venv/bin/python tools/trim_openapi.py PATH/TO/openapi-2026-04.yaml

Prose, examples and code samples are dropped; what the schemas say stays as it is, defects included.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

TARGET = Path(__file__).resolve().parents[1] / "tests" / "contract" / "data" / "openapi-2026-04.json"
SOURCE = (
    "github.com/togethercomputer/openapi (MIT), the version of 28 April 2026: answers of the operations below and the "
    "schemas that they use, cut out by tools/trim_openapi.py"
)
#: Paths that the simulator has, without the `/v1` of the server's address.
_PATHS = re.compile(
    r"/(files|fine-tunes|batches|evaluation|models|jobs|endpoints|hardware|compute|clusters|deployments|queue|rl)(/|$)"
)
_PROSE = frozenset({"description", "example", "examples", "title", "summary", "x-codeSamples", "default"})
_METHODS = ("get", "post", "put", "patch", "delete")


def strip_prose(node: Any, *, is_map_of_names: bool = False) -> Any:
    """Return a schema without what says nothing about validity; names of properties are never dropped."""
    if isinstance(node, list):
        return [strip_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: strip_prose(value, is_map_of_names=name == "properties" and not is_map_of_names)
        for name, value in node.items()
        if is_map_of_names or not (name in _PROSE or name.startswith("x-"))
    }


def find_references(node: Any) -> set[str]:
    """Return the names of the component schemas that a schema refers to."""
    if isinstance(node, list):
        return set().union(*map(find_references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return found.union(*map(find_references, node.values())) if node else found


def trim(spec: dict[str, Any]) -> dict[str, Any]:
    """Return {source, operations: {"GET /path": {status: schema}}, schemas}."""
    operations: dict[str, Any] = {}
    for path, item in spec["paths"].items():
        if not _PATHS.match(path):
            continue
        for method in _METHODS:
            answers = {
                status: strip_prose(content["application/json"].get("schema", {}))
                for status, answer in item.get(method, {}).get("responses", {}).items()
                if "application/json" in (content := answer.get("content", {}))
            }
            if answers:
                operations[f"{method.upper()} {path}"] = answers
    wanted, schemas = find_references(operations), {}
    while wanted - schemas.keys():
        for name in wanted - schemas.keys():
            schemas[name] = strip_prose(spec["components"]["schemas"][name])
            wanted = wanted | find_references(schemas[name])
    return {"source": SOURCE, "operations": operations, "schemas": dict(sorted(schemas.items()))}


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        trimmed = trim(yaml.safe_load(lines))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(trimmed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(trimmed['operations'])} operations, {len(trimmed['schemas'])} schemas")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
