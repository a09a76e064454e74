"""How commands reach a running hub: `AIHUB_URL` and `AIHUB_KEY`, else the local hub and its admin key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from aihub.cli.local import hush_retries, quiet_settings
from aihub.client import AihubClient, HubUnreachableError
from aihub.errors import ConfigError, InputError, UnauthorizedError
from aihub.serve.home import running_url

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="AIHUB_URL", metavar="URL", help="Address of the hub.", show_default="the local one"
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", envvar="AIHUB_KEY", metavar="KEY", help="API key.", show_default="the local admin key"
    ),
]

ATTEMPTS = 2
"""A person waits: a hub that restarts gets a second chance, one that is not there is told of at once."""


@contextmanager
def connect(url: str | None, key: str | None) -> Iterator[AihubClient]:
    """A client of the hub that is meant.

    Raises:
        ConfigError: no key was given and there is no local admin key.
        HubUnreachableError: nobody answers there.
        UnauthorizedError: the key is wrong.
    """
    here = quiet_settings()
    address = url or running_url(here)
    if not address.startswith(("http://", "https://")):
        raise InputError(f"the address of the hub must begin with http:// or https://, but is {address!r}")
    hush_retries()
    with AihubClient(address, key or _local_key(here.home), attempts=ATTEMPTS) as client:
        try:
            yield client
        except HubUnreachableError as error:
            hint = f"{'check --url and AIHUB_URL, or ' if url else ''}start one with `aihub up`"
            raise HubUnreachableError(f"no hub answers at {address}", hint=hint) from error
        except UnauthorizedError as error:
            raise UnauthorizedError(error.message, hint="check --key and AIHUB_KEY") from error


def _local_key(home: Path) -> str:
    path = home / "admin.key"
    if not path.exists():
        raise ConfigError(
            f"no API key, and no hub has run in {home}", hint="start one with `aihub up`, or set AIHUB_KEY"
        )
    if not os.access(path, os.R_OK):
        raise ConfigError(f"{path} cannot be read by this user", hint="set AIHUB_KEY")
    return path.read_text(encoding="utf-8").strip()
