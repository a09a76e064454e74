"""`aihub audit`: who did what at the hub whose home is here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from aihub.cli.local import home_repository
from aihub.cli.output import JsonFlag, print_json, print_table, say

if TYPE_CHECKING:
    from aihub.storage.records import AuditEntry

app = typer.Typer(add_completion=False)

PAGE = 1000


@app.command()
def audit(
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Only by this key or person.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as key.rotate; 'key.' finds all that begin so.")
    ] = None,
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only about this.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="ID", help="Only by keys of this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The newest so many.")] = 50,
    export: Annotated[
        bool, typer.Option("--export", help="All of them, newest first, one JSON object a line.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Who did what, when, from where, with what outcome: changes of keys and tenants, looks at evidence."""
    pages = partial(_pages, actor=actor, action=action, subject=subject, tenant=tenant)
    if export:
        for page in pages(PAGE):
            for entry in page:
                print_json(asdict(entry))
        return
    entries = next(pages(limit))
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


def _pages(
    limit: int, *, actor: str | None, action: str | None, subject: str | None, tenant: str | None
) -> Iterator[list[AuditEntry]]:
    """Notes page by page. The cursor is the last one's number, so that what is noted meanwhile shifts nothing."""
    repository = home_repository()
    cursor: str | None = None
    while True:
        page = repository.list_audit(
            limit, actor=actor, action=action, subject=subject, tenant=tenant, cursor=cursor
        )
        yield page.items
        cursor = page.cursor
        if cursor is None:
            return
