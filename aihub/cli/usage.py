"""`aihub usage`: what tenants of the hub whose home is here used."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from aihub.cli.local import home_repository
from aihub.cli.output import JsonFlag, print_json, print_table, say
from aihub.storage.records import Usage

app = typer.Typer(add_completion=False)

PAGE = 1000


@app.command()
def usage(
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this tenant.", show_default="all")
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option("--algorithm", "-a", metavar="ID", help="Only this algorithm.", show_default="all"),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3660, metavar="N", help="Days until today (UTC).")] = 30,
    json: JsonFlag = False,
) -> None:
    """What tenants used, by day and algorithm: calls, errors, frames and compute seconds; a few seconds late."""
    first = (datetime.fromtimestamp(time.time(), UTC).date() - timedelta(days=days - 1)).isoformat()
    repository = home_repository()
    rows: list[Usage] = []
    cursor: str | None = None
    while True:
        page = repository.list_usage(
            tenant=tenant, algorithm=algorithm, since=first, cursor=cursor, limit=PAGE
        )
        rows += page.items
        cursor = page.cursor
        if cursor is None:
            break
    total = repository.total_usage(tenant=tenant, algorithm=algorithm, since=first)
    sums = {
        "calls": total.calls,
        "errors": total.errors,
        "frames": total.frames,
        "compute_s": total.compute_s,
    }
    if json:
        print_json({"items": [asdict(row) for row in rows], "total": sums})
        return
    if not rows:
        say("nothing was used")
        return
    table = [(r.day, r.tenant, r.algorithm, *_figures(r)) for r in rows]
    print_table(
        ("DAY", "TENANT", "ALGORITHM", "CALLS", "ERRORS", "FRAMES", "COMPUTE S"),
        [*table, ("all", "", "", *_figures(total))],
    )


def _figures(row: Usage) -> tuple[str, ...]:
    return f"{row.calls:,}", f"{row.errors:,}", f"{row.frames:,}", f"{row.compute_s:,.1f}"
