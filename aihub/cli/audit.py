"""`aihub audit`: who did what at the hub whose home is here."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from aihub.cli.local import home_repository
from aihub.cli.output import JsonFlag, print_json, print_table, say

app = typer.Typer(add_completion=False)


@app.command()
def audit(
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Only by this key or person.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as key.rotate; 'key.' finds all that begin so.")
    ] = None,
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only about this.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="ID", help="Only by keys of this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The newest so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Who did what, when, from where, with what outcome: changes of keys and tenants, looks at evidence."""
    entries = (
        home_repository().list_audit(limit, actor=actor, action=action, subject=subject, tenant=tenant).items
    )
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    if not entries:
        say("nothing was noted")
        return
    print_table(
        ("TIME", "WHO", "TENANT", "FROM", "ACTION", "WHAT", "OUTCOME"),
        (
            (
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at)),
                entry.actor, entry.tenant, entry.address, entry.action, entry.subject, entry.outcome,
            )
            for entry in entries
        ),
        free=("WHO",),
    )  # fmt: skip
