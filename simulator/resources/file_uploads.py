"""How files come in: POST -> signed URL -> PUT -> preprocess (SDK 2.x and 3.x), or one form (`/v1/files/upload`)."""

from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulator.call import Call, json_answer, read_call, route
from simulator.errors import ApiError, bad_request, not_found
from simulator.identifiers import derive_number
from simulator.jobs.content import Uploaded
from simulator.jobs.files import FILE_TYPES, UPLOAD_PURPOSES, VALIDATED_PURPOSES, StoredFile
from simulator.jobs.inspection import inspect_batch_file, inspect_training_file
from simulator.resources.files import describe_file, find_file
from simulator.resources.jobs_access import owner_of
from simulator.resources.multipart import decode_file, encode_file, read_form
from simulator.world import Identity, World

#: Content is kept in memory and in the journal; real uploads go to 50 GB (above 5 GB in parts, which is not simulated).
MOST_BYTES: Final = 64 * 1024 * 1024


def _sign(world: World, file_id: str) -> str:
    return f"{derive_number(world.seed, 'signature', file_id):016x}"


def _new_file(call: Call, fields: dict[str, Any]) -> StoredFile:
    """Return a file without content. Raises 400 for a field that is missing or unknown."""
    name, purpose = fields.get("file_name"), fields.get("purpose")
    if not name or not isinstance(name, str):
        raise bad_request("file_name is required", param="file_name")
    if purpose not in UPLOAD_PURPOSES:
        raise bad_request(f"purpose must be one of {', '.join(sorted(UPLOAD_PURPOSES))}", param="purpose")
    file_type = fields.get("file_type") or name.rpartition(".")[2].lower()
    if file_type not in FILE_TYPES:
        raise bad_request(f"file_type must be one of {', '.join(sorted(FILE_TYPES))}", param="file_type")
    stored = StoredFile(
        file_id=f"file-{call.world.new_uuid()}",
        owner=owner_of(call.identity),
        filename=name,
        purpose=purpose,
        file_type=file_type,
        created_ms=call.now_ms,
        checksum=fields.get("checksum"),
    )
    call.world.jobs.files[stored.file_id] = stored
    return stored


def _receive(stored: StoredFile, raw: bytes) -> None:
    if len(raw) > MOST_BYTES:
        raise ApiError(413, "the simulator takes files of at most 64 MiB")
    stored.content = Uploaded(raw)
    if stored.purpose in VALIDATED_PURPOSES:
        stored.findings = inspect_training_file(raw, file_type=stored.file_type)
    elif stored.purpose == "batch-api":
        stored.findings = inspect_batch_file(raw)


def _process(call: Call, stored: StoredFile) -> Response:
    stored.process(call.now_ms, world_start_ms=call.world.start_ms, speed=call.world.speed)
    return json_answer(describe_file(stored, now_ms=call.now_ms))


async def _read_form_call(request: Request) -> Call:
    kind = request.headers.get("content-type", "")
    return await read_call(request, read_body=lambda raw: read_form(raw, kind))


async def begin_upload(request: Request) -> Response:
    """Give a signed URL for the content: 302 with its address and the file's id in headers.

    Raises 409 with `file_id` when the project has a file of the same name, purpose and checksum.
    """
    call = await _read_form_call(request)
    if call.world.any_id:
        return _answer_address(request, next(iter(call.world.jobs.files)))
    fields = call.fields()
    project_id = call.identity.project.project_id
    for each in call.world.jobs.files.values():
        known = (each.owner.project_id, each.filename, each.purpose, each.checksum)
        wanted = (project_id, fields.get("file_name"), fields.get("purpose"), fields.get("checksum"))
        if each.checksum and each.content and known == wanted:
            refusal = ApiError(409, f"the file exists as {each.file_id}", code="file_exists")
            return JSONResponse({**refusal.body(), "file_id": each.file_id}, status_code=409)
    return _answer_address(request, _new_file(call, fields).file_id)


def _answer_address(request: Request, file_id: str) -> Response:
    target = f"/uploads/{quote(file_id)}?signature={_sign(request.app.state.world, file_id)}"
    location = str(request.base_url).rstrip("/") + target if "host" in request.headers else target
    return Response(status_code=302, headers={"location": location, "x-together-file-id": file_id})


async def receive_content(request: Request) -> Response:
    """Take the content at the signed URL, which needs no key."""
    world: World = request.app.state.world
    file_id = request.path_params["file_id"]
    stored = world.jobs.files.get(file_id)
    if stored is None or request.query_params.get("signature") != _sign(world, file_id):
        raise ApiError(403, "the signature does not match", code="forbidden")
    project = world.projects[stored.owner.project_id]
    request.scope.setdefault("simulator.identity", Identity("signed-url", project.organization, project))
    repeated = "content-length" not in request.headers and "host" not in request.headers  # by the journal
    call = await read_call(
        request,
        read_body=lambda raw: read_form(raw, "") if repeated else {"file": encode_file(raw)},
    )
    if not world.any_id:
        _receive(stored, decode_file(call.fields().get("file")))
    return Response(status_code=200)


async def upload_form(request: Request) -> Response:
    """Take name, purpose and content in one form ([O] and older clients)."""
    call = await _read_form_call(request)
    if call.world.any_id:
        return json_answer(describe_file(next(iter(call.world.jobs.files.values())), now_ms=call.now_ms))
    fields = call.fields()
    raw = decode_file(fields.get("file"))
    stored = _new_file(call, fields)
    _receive(stored, raw)
    return _process(call, stored)


def preprocess(call: Call) -> Response:
    stored = find_file(call, call.path["file_id"])
    if call.world.any_id:
        return json_answer(describe_file(stored, now_ms=call.now_ms))
    if stored.content is None:
        raise not_found("content of file", stored.file_id)
    return _process(call, stored)


ROUTES = [
    Route("/v1/files", begin_upload, methods=["POST"]),
    Route("/v1/files/upload", upload_form, methods=["POST"]),
    Route("/uploads/{file_id}", receive_content, methods=["PUT"]),
    route("/v1/files/{file_id}/preprocess", preprocess, "POST"),
]
