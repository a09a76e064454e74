"""`/v1/keys`: who may do what."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import Response

from aihub.errors import ParamsError
from aihub.serve.access import Administrator, TheParts, TheServices
from aihub.serve.account_schemas import KeyIn, RotateIn
from aihub.serve.audit import TheActor, noting_failure
from aihub.serve.problems import documented
from aihub.serve.schemas import KeyList
from aihub.serve.security import new_key
from aihub.storage.base import TenantNotFoundError
from aihub.types.accounts import NewKey
from aihub.types.answers import Key

router = APIRouter(prefix="/v1/keys", tags=["admin"], responses=documented())


@router.get("", operation_id="listKeys", summary="List the API keys")
def list_keys(services: TheServices, _: Administrator) -> KeyList:
    """All keys by their prefixes; the keys themselves are nowhere."""
    return KeyList(items=[Key.model_validate(asdict(key)) for key in services.repository.list_keys()])


@router.post(
    "", operation_id="createKey", summary="Make an API key", status_code=201, responses=documented(404)
)
def create_key(body: KeyIn, parts: TheParts, _: Administrator, actor: TheActor, response: Response) -> NewKey:
    """The answer holds the key, this once; only its hash is kept."""
    repository = parts.services.repository
    try:
        with noting_failure(repository, actor, "key.create", body.name):
            repository.get_tenant(body.tenant)
    except TenantNotFoundError as error:
        error.field = "tenant"
        raise
    if body.expires_at is not None and body.expires_at <= time.time():
        raise ParamsError("expires_at: that time is past", field="expires_at")
    key, digest, prefix = new_key()
    row = repository.add_key(
        name=body.name,
        key_hash=digest,
        prefix=prefix,
        scopes=sorted(set(body.scopes)),
        tenant=body.tenant,
        expires_at=body.expires_at,
        by=actor,
    )
    response.headers["Cache-Control"] = "no-store"
    return NewKey.model_validate({**asdict(row), "key": key})


@router.post(
    "/{key_id}/rotate",
    operation_id="rotateKey",
    summary="Replace an API key",
    status_code=201,
    responses=documented(404, 409),
)
def rotate_key(
    key_id: str,
    parts: TheParts,
    _: Administrator,
    actor: TheActor,
    response: Response,
    body: Annotated[RotateIn | None, Body()] = None,
) -> NewKey:
    """A new key with the same name, tenant, scopes and expiry; the old one goes on for `grace_s` seconds, a day by default."""
    key, digest, prefix = new_key()
    grace_s = (body or RotateIn()).grace_s
    repository = parts.services.repository
    with noting_failure(repository, actor, "key.rotate", key_id):
        row = repository.rotate_key(key_id, key_hash=digest, prefix=prefix, grace_s=grace_s, by=actor)
    parts.door.look_again()
    response.headers["Cache-Control"] = "no-store"
    return NewKey.model_validate({**asdict(row), "key": key})


@router.delete(
    "/{key_id}",
    operation_id="revokeKey",
    summary="End an API key",
    responses=documented(404),
)
def revoke_key(key_id: str, parts: TheParts, _: Administrator, actor: TheActor) -> Key:
    """It stops working within seconds. Doing it again keeps the first time."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "key.revoke", key_id):
        row = repository.revoke_key(key_id, by=actor)
    parts.door.look_again()
    return Key.model_validate(asdict(row))
