"""`aihub galleries`: faces of people who agreed to be known, for a purpose and a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from aihub.cli.connection import KeyOption, UrlOption, connect
from aihub.cli.output import JsonFlag, print_ended, print_json, print_mapping, print_table
from aihub.types.galleries import GalleryInfo, SubjectInfo

app = typer.Typer(
    help="Faces of people who agreed to be known, for a purpose and a time.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(metavar="GALLERY", help="Name of a gallery.")]
Purpose = Annotated[str, typer.Option(metavar="TEXT", help="What faces are compared for.")]


@app.command("create")
def create(
    gallery: Name,
    purpose: Purpose,
    retention_days: Annotated[
        float, typer.Option(metavar="DAYS", min=0.01, max=3650, help="How long somebody stays enrolled.")
    ],
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Make a gallery of the key's tenant."""
    with connect(url, key) as hub:
        _show(hub.add_gallery(gallery, purpose, retention_days=retention_days), json)


@app.command("list")
def list_galleries(
    gallery: Annotated[
        str | None,
        typer.Argument(metavar="[GALLERY]", help="List who is enrolled in it.", show_default=False),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """List the galleries, or who is enrolled in one."""
    with connect(url, key) as hub:
        if gallery is not None:
            _people(list(hub.subjects(gallery)), json)
            return
        rows = hub.galleries()
    if json:
        print_json([row.model_dump() for row in rows])
        return
    print_table(
        ("NAME", "PEOPLE", "DAYS", "PURPOSE"),
        ((row.name, f"{row.subjects:,}", f"{row.retention_days:g}", row.purpose) for row in rows),
        free=("PURPOSE",),
    )


@app.command("enrol")
def enrol(
    gallery: Name,
    name: Annotated[str, typer.Argument(metavar="PERSON", help="What the person is called in results.")],
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Pictures of the person alone.")
    ],
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What the person agreed to.")],
    consent: Annotated[str, typer.Option(metavar="TEXT", help="Where the consent is to be found.")],
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Enrol somebody who agreed to it. The pictures are not kept.

    aihub galleries enrol staff 'Li Wei' li-wei.jpg --purpose 'entry to the town hall' --consent 'form 2026-118'
    """
    with connect(url, key) as hub:
        made = hub.enrol(gallery, name, pictures, purpose=purpose, consent=consent)
    if json:
        print_json(made.model_dump())
        return
    print_mapping(
        {"id": made.id, "name": made.name, "faces": made.faces, "forgotten at": _day(made.expires_at)}
    )


@app.command("erase")
def erase(
    gallery: Name,
    subject: Annotated[str, typer.Argument(metavar="ID", help="Id of somebody who is enrolled.")],
    url: UrlOption = None,
    key: KeyOption = None,
    json: JsonFlag = False,
) -> None:
    """Forget somebody with all that is kept of their face."""
    with connect(url, key) as hub:
        hub.erase(gallery, subject)
    print_ended("erased", subject, json)


@app.command("remove")
def remove(gallery: Name, url: UrlOption = None, key: KeyOption = None, json: JsonFlag = False) -> None:
    """Remove a gallery with everybody in it."""
    with connect(url, key) as hub:
        hub.delete_gallery(gallery)
    print_ended("removed", gallery, json)


def _show(made: GalleryInfo, json: bool) -> None:
    if json:
        print_json(made.model_dump())
        return
    print_mapping(
        {
            "name": made.name,
            "purpose": made.purpose,
            "days": f"{made.retention_days:g}",
            "people": made.subjects,
        }
    )


def _people(rows: list[SubjectInfo], json: bool) -> None:
    if json:
        print_json([row.model_dump() for row in rows])
        return
    print_table(
        ("ID", "NAME", "FACES", "FORGOTTEN", "CONSENT"),
        ((row.id, row.name, str(row.faces), _day(row.expires_at), row.consent) for row in rows),
        free=("NAME", "CONSENT"),
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
