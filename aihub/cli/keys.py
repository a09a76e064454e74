"""`aihub keys`: API keys of the local hub."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from aihub.cli.local import quiet_settings
from aihub.cli.output import JsonFlag, print_json, print_table, say
from aihub.errors import InputError
from aihub.serve.home import open_repository, prepare_home
from aihub.serve.security import SCOPES, new_key
from aihub.storage.records import ApiKey
from aihub.storage.repository import Repository

app = typer.Typer(help="API keys of the hub whose home is here.", no_args_is_help=True, add_completion=False)


def _repository() -> Repository:
    here = quiet_settings()
    prepare_home(here)
    return open_repository(here)


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
    row = _repository().add_key(
        name=name, tenant=tenant, key_hash=digest, prefix=prefix, scopes=wanted, expires_at=expires
    )
    if json:
        print_json(
            {
                "key": key,
                "id": row.id,
                "name": name,
                "tenant": tenant,
                "scopes": wanted,
                "expires_at": expires,
            }
        )
        return
    say((key, "bold"))
    say(f"for {name} ({', '.join(wanted)}); it is not shown again")


@app.command("list")
def list_keys(json: JsonFlag = False) -> None:
    """List keys; the keys themselves are not kept."""
    rows = _repository().list_keys()
    if json:
        print_json([{"id": r.id, "name": r.name, "prefix": r.prefix, "tenant": r.tenant, "scopes": list(r.scopes),
                     "created_at": r.created_at, "expires_at": r.expires_at, "revoked_at": r.revoked_at,
                     "last_used_at": r.last_used_at} for r in rows])  # fmt: skip
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


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key (see list).")],
    json: JsonFlag = False,
) -> None:
    """Revoke a key; it stops working within seconds."""
    _repository().revoke_key(key_id)
    if json:
        print_json({"revoked": key_id})
    else:
        say(f"revoked {key_id}")
