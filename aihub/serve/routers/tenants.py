"""`/v1/tenants`: who shares the hub, what each may use and how much of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from aihub.serve.access import Administrator, TheParts, TheServices
from aihub.serve.account_schemas import TenantIn, TenantList, TenantPatch
from aihub.serve.audit import TheActor, noting_failure
from aihub.serve.problems import documented
from aihub.storage.records import Tenant
from aihub.types.accounts import TenantInfo

router = APIRouter(prefix="/v1/tenants", tags=["admin"], responses=documented())

_NEVER_NULL = ("title", "algorithms", "stream_groups")


@router.post(
    "", operation_id="createTenant", summary="Add a tenant", status_code=201, responses=documented(409)
)
def create_tenant(body: TenantIn, parts: TheParts, _: Administrator, actor: TheActor) -> TenantInfo:
    """It has what is given here and nothing else; keys for it are made next."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "tenant.create", body.id):
        made = repository.add_tenant(Tenant(**_plain(body.model_dump())), by=actor)
    parts.door.look_again()
    return _public(made)


@router.get("", operation_id="listTenants", summary="List the tenants")
def list_tenants(services: TheServices, _: Administrator) -> TenantList:
    """All tenants with their grants and limits."""
    return TenantList(items=[_public(tenant) for tenant in services.repository.list_tenants()])


@router.get("/{tenant_id}", operation_id="getTenant", summary="One tenant", responses=documented(404))
def get_tenant(tenant_id: str, services: TheServices, _: Administrator) -> TenantInfo:
    """Its grants and limits."""
    return _public(services.repository.get_tenant(tenant_id))


@router.patch(
    "/{tenant_id}", operation_id="updateTenant", summary="Change a tenant", responses=documented(404)
)
def update_tenant(
    tenant_id: str, body: TenantPatch, parts: TheParts, _: Administrator, actor: TheActor
) -> TenantInfo:
    """Change what is given; it is felt within seconds. Tasks of streams that lose their grant stop."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    changes = {name: value for name, value in given.items() if value is not None or name not in _NEVER_NULL}
    repository = parts.services.repository
    with noting_failure(repository, actor, "tenant.update", tenant_id):
        changed = repository.update_tenant(tenant_id, _plain(changes), by=actor)
    parts.door.look_again()
    return _public(changed)


@router.delete(
    "/{tenant_id}",
    operation_id="deleteTenant",
    summary="Remove a tenant",
    status_code=204,
    responses=documented(404, 409),
)
def delete_tenant(tenant_id: str, parts: TheParts, _: Administrator, actor: TheActor) -> Response:
    """Only one without keys in force, streams and sinks. Its events, usage and audit stay."""
    repository = parts.services.repository
    with noting_failure(repository, actor, "tenant.delete", tenant_id):
        repository.delete_tenant(tenant_id, by=actor)
    parts.door.look_again()
    return Response(status_code=204)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _public(tenant: Tenant) -> TenantInfo:
    return TenantInfo.model_validate(asdict(tenant))
