"""`/v1/keys`: who may do what. Keys are made and revoked on the hub's machine, with `aihub keys`."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from aihub.serve.access import Administrator, TheServices
from aihub.serve.problems import documented
from aihub.serve.schemas import KeyList, KeyOut

router = APIRouter(prefix="/v1", tags=["admin"], responses=documented())


@router.get("/keys", operation_id="listKeys", summary="List the API keys")
def list_keys(services: TheServices, _: Administrator) -> KeyList:
    """All keys by their prefixes; the keys themselves are nowhere."""
    return KeyList(items=[KeyOut(**asdict(key)) for key in services.repository.list_keys()])
