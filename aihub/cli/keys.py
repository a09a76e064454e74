"""`aihub keys`: API keys of the local hub."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from aihub.cli.local import home_repository, person
from aihub.cli.output import JsonFlag, print_ended, print_json, print_table, say
from aihub.errors import InputError
from aihub.serve.security import SCOPES, new_key
from aihub.storage.base import TenantNotFoundError
from aihub.storage.records import ApiKey

app = typer.Typer(help="API keys of the hub whose home is here.", no_args_is_help=True, add_completion=False)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom the key is for.")],
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help="Comma-separated: " + ", ".join(sorted(SCOPES)))
    ] = "infer,streams,events",
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Tenant whose streams and events it sees.")
    ] = "default",
    expires_days: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="DAYS", help="Days until it expires.", show_default="never"),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make a key and print it once; only its hash is kept."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    unknown = sorted(set(wanted) - set(SCOPES))
    if unknown or not wanted:
        raise InputError(
            f"unknown scopes: {', '.join(unknown)}" if unknown else "no scopes given",
            field="scopes",
            hint=f"use {', '.join(sorted(SCOPES))}",
        )
    key, digest, prefix = new_key()
    expires = None if expires_days is None else time.time() + expires_days * 86400
    repository = home_repository()
    try:
        repository.get_tenant(tenant)
    except TenantNotFoundError as error:
        error.field, error.hint = "tenant", f"aihub tenants create {tenant}"
        raise
    row = repository.add_key(
        name=name,
        tenant=tenant,
        key_hash=digest,
        prefix=prefix,
        scopes=wanted,
        expires_at=expires,
        by=person(),
    )
    if json:
        print_json(_fresh(key, row))
        return
    say((key, "bold"))
    say(f"for {name} ({', '.join(wanted)}); it is not shown again")


@app.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """List keys; the keys themselves are not kept."""
    rows = home_repository().list_keys()
    if json:
        print_json([{"id": r.id, "name": r.name, "prefix": r.prefix, "tenant": r.tenant, "scopes": list(r.scopes),
                     "created_at": r.created_at, "expires_at": r.expires_at, "revoked_at": r.revoked_at,
                     "last_used_at": r.last_used_at, "replaced_by": r.replaced_by} for r in rows])  # fmt: skip
        return
    print_table(
        ("ID", "NAME", "BEGINS WITH", "TENANT", "SCOPES", "STATE"),
        ((r.id, r.name, r.prefix, r.tenant, ", ".join(r.scopes), _state(r)) for r in rows),
        free=("NAME", "SCOPES"),
    )


def _state(row: ApiKey) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at is None:
        return "active"
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.expires_at))
    return f"expired {day}" if row.expires_at < time.time() else f"active until {day}"


@app.command("rotate")
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key (see list).")],
    grace_hours: Annotated[
        float,
        typer.Option(min=0.0, max=720.0, metavar="HOURS", help="How long the old key goes on working."),
    ] = 24.0,
    json: JsonFlag = False,
) -> None:
    """Make a key that replaces another: same name, tenant and scopes; the old one ends after the grace time."""
    key, digest, prefix = new_key()
    row = home_repository().rotate_key(
        key_id, key_hash=digest, prefix=prefix, grace_s=grace_hours * 3600, by=person()
    )
    if json:
        print_json(_fresh(key, row) | {"replaces": key_id})
        return
    say((key, "bold"))
    say(f"for {row.name}; it is not shown again. {key_id} ends within {grace_hours:g} hours")


def _fresh(key: str, row: ApiKey) -> dict[str, Any]:
    """A new key as a program reads it."""
    return {
        "key": key,
        "id": row.id,
        "name": row.name,
        "tenant": row.tenant,
        "scopes": list(row.scopes),
        "expires_at": row.expires_at,
    }


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key (see list).")],
    json: JsonFlag = False,
) -> None:
    """Revoke a key; it stops working within seconds."""
    home_repository().revoke_key(key_id, by=person())
    print_ended("revoked", key_id, json)
