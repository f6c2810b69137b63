"""Documents of a knowledge base: upload, look at, replace, delete."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.api.deps import Key, Limit, Offset, Ref, Svc, preferred_wait, wants_async
from app.api.multipart import Form, read_form
from app.api.problems import Door, error_body
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.knowledge.document_lists import document_filters
from app.services.problems import explain
from app.services.threads import call
from app.services.views import (
    ChunkView,
    CommitView,
    DocumentStatus,
    DocumentText,
    DocumentView,
    JobView,
    Page,
    TaskView,
)

router = APIRouter(tags=["Documents"], route_class=Door)

_ENDED = {"completed", "failed", "cancelled"}
_DOCUMENTS = "/knowledge_bases/{kb}/documents"
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        },
                        "processing_config": {
                            "type": "string",
                            "description": "JSON: chunk_size, chunking_strategy, …",
                        },
                        "branch": {"type": "string", "default": "main"},
                    },
                }
            }
        },
    }
}


class Upload(BaseModel):
    """What became of an upload; with one file, its fields are at the top level too."""

    job_id: str
    status: str
    results: list[TaskView]
    warnings: list[str] = []


class Password(BaseModel):
    """What opens an encrypted document."""

    model_config = ConfigDict(extra="forbid")
    password: SecretStr = Field(min_length=1, max_length=1_000)


@router.post(_DOCUMENTS, response_model=Upload, openapi_extra=_UPLOAD_BODY)
async def upload_documents(kb: str, request: Request, services: Svc, key: Key) -> Response:
    """Put files into a knowledge base.

    Waits up to 30 seconds for them to be searchable, then answers 202 with a `job_id`;
    `Prefer: respond-async` answers 202 at once. Nothing is lost once this has answered.
    """
    kb_id = (await services.knowledge.get(kb)).knowledge_base_id
    form = await _read(request, services)
    try:
        job = await services.ingest.submit(
            kb_id,
            [_incoming(form, number) for number in range(len(form.files))],
            _processing(form),
            branch=form.fields.get("branch") or "main",
            author=key.name,
        )
    finally:
        await call(form.discard)
    return await _answer(job, request, services)


@router.put(_DOCUMENTS + "/{document_id}", response_model=Upload, openapi_extra=_UPLOAD_BODY)
async def replace_document(
    kb: str, document_id: str, request: Request, services: Svc, key: Key
) -> Response:
    """Give a document a new content; its name stays."""
    document = await services.knowledge.document(kb, document_id)
    form = await _read(request, services)
    try:
        if len(form.files) != 1:
            raise RagloomError(
                f"A document is replaced by one file; {len(form.files)} came.",
                code="bad_upload",
                fix="Send exactly one file in the field “files”.",
            )
        file = _incoming(form, 0)
        file.filename = document.filename
        job = await services.ingest.submit(
            kb, [file], _processing(form), author=key.name, unpack=False
        )
    finally:
        await call(form.discard)
    return await _answer(job, request, services)


@router.get(_DOCUMENTS)
async def list_documents(
    kb: str,
    services: Svc,
    ref: Ref = "main",
    limit: Limit = 50,
    offset: Offset = 0,
    text: Annotated[str, Query(max_length=200, description="Part of the file name.")] = "",
    status: DocumentStatus | None = None,
    language: Annotated[str, Query(max_length=16, description="ISO 639-1 code.")] = "",
    author: Annotated[
        str, Query(max_length=200, description="Part of the author's name; of mail, the sender's.")
    ] = "",
    since: Annotated[
        date | None, Query(description="Changed, sent or made on this day or later.")
    ] = None,
    until: Annotated[
        date | None, Query(description="Changed, sent or made on this day or earlier.")
    ] = None,
) -> Page[DocumentView]:
    """List documents: those on their way in or failed first."""
    filters = document_filters(author, since, until)
    return await services.knowledge.documents(
        kb, ref, limit, offset, text, status=status, language=language, filters=filters
    )


@router.get(_DOCUMENTS + "/{document_id}")
async def get_document(kb: str, document_id: str, services: Svc, ref: Ref = "main") -> DocumentView:
    """One document."""
    return await services.knowledge.document(kb, document_id, ref)


@router.delete(_DOCUMENTS + "/{document_id}")
async def delete_document(kb: str, document_id: str, services: Svc, key: Key) -> CommitView:
    """Take a document out; answers the commit that did."""
    return await services.knowledge.delete_document(kb, document_id, key.name)


@router.get(_DOCUMENTS + "/{document_id}/chunks")
async def list_chunks(
    kb: str,
    document_id: str,
    services: Svc,
    ref: Ref = "main",
    limit: Limit = 100,
    offset: Offset = 0,
    disabled: Annotated[bool, Query(description="With those left out of search.")] = False,
) -> Page[ChunkView]:
    """Chunks of a document in reading order."""
    return await services.knowledge.chunks(kb, document_id, limit, offset, ref, disabled=disabled)


@router.get(_DOCUMENTS + "/{document_id}/text", response_model=DocumentText)
async def get_text(kb: str, document_id: str, services: Svc, ref: Ref = "main") -> Response:
    """The text as its chunks cover it, with the chunks as offsets in it.

    Where the quality check left chunks out there are line breaks, so that offsets stay true.
    """
    text = await services.knowledge.text(kb, document_id, ref)
    # A long document takes a while to write down: elsewhere, so that others are served meanwhile.
    return Response(await call(text.model_dump_json), media_type="application/json")


@router.get(_DOCUMENTS + "/{document_id}/original", response_class=FileResponse)
async def download_original(
    kb: str, document_id: str, services: Svc, ref: Ref = "main"
) -> FileResponse:
    """The file that was uploaded, as a download."""
    path, filename, _ = await services.knowledge.original(kb, document_id, ref)
    # Plain bytes, always: an uploaded page must never run as one of this server.
    return FileResponse(path, filename=filename, media_type="application/octet-stream")


@router.post(_DOCUMENTS + "/{document_id}/retry", status_code=202)
async def retry_document(kb: str, document_id: str, services: Svc) -> JobView:
    """Try a failed or cancelled document once more."""
    return await services.ingest.retry(kb, document_id)


@router.post(_DOCUMENTS + "/{document_id}/password", status_code=202)
async def give_password(kb: str, document_id: str, body: Password, services: Svc) -> JobView:
    """Try an encrypted document once more with its password.

    The password is kept in memory until the document was read, and nowhere else.
    """
    return await services.ingest.give_password(kb, document_id, body.password.get_secret_value())


async def _read(request: Request, services: Services) -> Form:
    limits = services.ingest.limits
    return await read_form(
        request,
        services.folder.path / "uploads",
        file_bytes=limits.file_bytes,
        max_files=limits.files,
    )


def _incoming(form: Form, number: int) -> IncomingFile:
    part = form.files[number]
    return IncomingFile(filename=part.filename, path=part.path, media_type=part.media_type)


def _processing(form: Form) -> dict[str, Any] | None:
    text = form.fields.get("processing_config", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        config = text
    if not isinstance(config, dict):
        raise RagloomError(
            "processing_config is not a JSON object.",
            code="invalid_config",
            fix='Write it like {"chunk_size": 400}.',
        )
    return config


async def _answer(job: JobView, request: Request, services: Services) -> JSONResponse:
    waits = services.settings.upload_wait_s
    if wants_async(request):
        waits = 0.0
    elif (preferred := preferred_wait(request)) is not None:
        waits = min(waits, preferred)
    if waits and job.status not in _ENDED:
        job = await services.ingest.wait(job.job_id, waits)
    body: dict[str, Any] = {
        "job_id": job.job_id,
        "status": job.status,
        "results": [result.model_dump(mode="json") for result in job.results],
        "warnings": job.warnings,
    }
    if len(job.results) == 1:
        result = body["results"][0]
        body |= {key: result[key] for key in _TOP_LEVEL}
    headers = {"Location": f"/api/v1/jobs/{job.job_id}"}
    if job.status not in _ENDED:
        return JSONResponse(body, 202, headers)
    errors = [result.error for result in job.results if result.error]
    if errors and len(errors) == len(job.results):
        first = errors[0]
        message = f"{first['message']} {first.get('fix', '')}".strip()
        if len(errors) > 1:
            message = f"None of the {len(errors)} files could be taken in. {message}"
        body |= error_body(first["code"], message, errors)
        refused = explain(RagloomError(message, code=first["code"]))
        return JSONResponse(body, refused.http_status, headers)
    return JSONResponse(body, 200, headers)


_TOP_LEVEL = (
    "document_id",
    "filename",
    "status",
    "chunks_created",
    "processing_time",
    "error_message",
)
