"""`aihub tenants`: who shares the hub whose home is here, and what each may use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from aihub.cli.local import home_repository, person
from aihub.cli.output import JsonFlag, print_ended, print_json, print_mapping, print_table
from aihub.errors import InputError
from aihub.serve.account_schemas import TenantIn, TenantPatch
from aihub.storage.records import Tenant

app = typer.Typer(
    help="Who shares the hub whose home is here, and what each may use.",
    no_args_is_help=True,
    add_completion=False,
)
M = TypeVar("M", bound=BaseModel)

Id = Annotated[str, typer.Argument(metavar="TENANT", help="Id of a tenant.")]
TitleOption = Annotated[
    str | None, typer.Option("--title", metavar="TEXT", help="Name for people.", show_default=False)
]
Algorithms = Annotated[
    list[str] | None,
    typer.Option(
        "--algorithm", "-a", metavar="PATTERN", help="What it may use: an id, 'people-*', '*'. Repeat."
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        "-g",
        metavar="PATTERN",
        help="Groups of streams it may add and see: 'default', '*'. Repeat.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="N", help="Calls a second, on average; 0 for no limit.", show_default="no limit"),
]
Burst = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Calls at once after a pause; 0 for one second's worth.", show_default=False
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(metavar="N", help="Requests at the same time; 0 for no limit.", show_default="no limit"),
]
PerDay = Annotated[
    int | None,
    typer.Option(metavar="N", help="Calls a day (UTC); 0 for no limit.", show_default="no limit"),
]


@app.command("create")
def create(
    tenant: Id,
    title: TitleOption = None,
    algorithm: Algorithms = None,
    group: Groups = None,
    calls_per_second: Rate = None,
    burst: Burst = None,
    concurrency: Concurrency = None,
    calls_per_day: PerDay = None,
    json: JsonFlag = False,
) -> None:
    """Add a tenant. It has what is granted here and nothing else."""
    limits = _limits(calls_per_second, burst, concurrency, calls_per_day)
    given = {"title": title, "algorithms": algorithm, "stream_groups": group} | limits
    asked = _checked(TenantIn, {"id": tenant} | {name: v for name, v in given.items() if v is not None})
    made = home_repository().add_tenant(Tenant(**_plain(asked.model_dump())), by=person())
    _show(made, json)


@app.command("list")
def list_tenants(json: JsonFlag = False) -> None:
    """List tenants with their grants and limits."""
    rows = home_repository().list_tenants()
    if json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("ID", "TITLE", "ALGORITHMS", "GROUPS", "CALLS/S", "AT ONCE", "CALLS/DAY"),
        (
            (
                row.id, row.title, _names(row.algorithms), _names(row.stream_groups),
                _limit(row.calls_per_second), _limit(row.concurrency), _limit(row.calls_per_day),
            )
            for row in rows
        ),
        free=("TITLE", "ALGORITHMS", "GROUPS"),
    )  # fmt: skip


@app.command("show")
def show(tenant: Id, json: JsonFlag = False) -> None:
    """One tenant's grants and limits."""
    _show(home_repository().get_tenant(tenant), json)


@app.command("update")
def update(
    tenant: Id,
    title: TitleOption = None,
    algorithm: Algorithms = None,
    group: Groups = None,
    calls_per_second: Rate = None,
    burst: Burst = None,
    concurrency: Concurrency = None,
    calls_per_day: PerDay = None,
    json: JsonFlag = False,
) -> None:
    """Change what is given; `-a ''` takes all algorithms away. It is felt within seconds."""
    given: dict[str, Any] = {
        "title": title,
        "algorithms": _without_empty(algorithm),
        "stream_groups": _without_empty(group),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    changes |= _limits(calls_per_second, burst, concurrency, calls_per_day)
    if not changes:
        raise InputError("nothing to change was given", hint=f"aihub tenants update {tenant} --help")
    asked = _checked(TenantPatch, changes)
    wanted = {name: getattr(asked, name) for name in asked.model_fields_set}
    _show(home_repository().update_tenant(tenant, _plain(wanted), by=person()), json)


@app.command("remove")
def remove(tenant: Id, json: JsonFlag = False) -> None:
    """Remove a tenant without keys in force, streams and sinks; its past stays."""
    home_repository().delete_tenant(tenant, by=person())
    print_ended("removed", tenant, json)


def _limits(
    calls_per_second: float | None, burst: int | None, concurrency: int | None, calls_per_day: int | None
) -> dict[str, Any]:
    given = {
        "calls_per_second": calls_per_second,
        "burst": burst,
        "concurrency": concurrency,
        "calls_per_day": calls_per_day,
    }
    return {name: value or None for name, value in given.items() if value is not None}


def _without_empty(names: list[str] | None) -> list[str] | None:
    return None if names is None else [name for name in names if name]


def _checked(model: type[M], values: dict[str, Any]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise InputError(f"{name}: {first['msg']}, but it is {first['input']!r}", field=name) from error


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _show(tenant: Tenant, json: bool) -> None:
    if json:
        print_json(asdict(tenant))
        return
    print_mapping(
        {
            "id": tenant.id,
            "title": tenant.title,
            "algorithms": _names(tenant.algorithms),
            "stream groups": _names(tenant.stream_groups),
            "calls a second": _limit(tenant.calls_per_second),
            "calls at once": "one second's worth" if tenant.burst is None else tenant.burst,
            "requests at the same time": _limit(tenant.concurrency),
            "calls a day": _limit(tenant.calls_per_day),
        }
    )


def _names(patterns: tuple[str, ...]) -> str:
    return ", ".join(patterns) or "none"


def _limit(value: float | None) -> str:
    return "no limit" if value is None else f"{value:,g}" if isinstance(value, float) else f"{value:,}"
