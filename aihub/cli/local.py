"""What commands that work here, without a hub, stand on."""

from __future__ import annotations

import getpass
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from aihub.errors import ConfigError, InputError
from aihub.settings import Settings

if TYPE_CHECKING:
    from aihub.storage.records import Actor
    from aihub.storage.repository import Repository


def local_settings(**flags: object) -> Settings:
    """Flags over environment over file over defaults.

    Raises:
        ConfigError: a setting is wrong; says which, and where it can be set.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"aihub.toml: there is no setting named {name!r}", field=name) from error
        message = f"the setting {name} is wrong: {first['msg']}, but it is {first['input']!r}"
        hint = f"it is set by AIHUB_{name.upper()}, by aihub.toml, or by a flag"
        raise ConfigError(message, hint=hint, field=name) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"aihub.toml cannot be read: {error}") from error


def quiet_settings() -> Settings:
    """The settings, with warnings only in the log unless a person asked for more."""
    found = local_settings()
    return (
        found if "log_level" in found.model_fields_set else found.model_copy(update={"log_level": "WARNING"})
    )


def home_repository() -> Repository:
    """The database of the hub whose home is here, made when it is not there yet."""
    from aihub.serve.home import open_repository, prepare_home

    here = quiet_settings()
    prepare_home(here)
    return open_repository(here)


def person() -> Actor:
    """Who sits at this machine, for the audit."""
    from aihub.storage.records import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        name = str(os.getuid())
    return Actor(name, address="local")


def hush_retries() -> None:
    """Retries are not printed: they would go to standard output, between what the command says."""
    from stamina import instrumentation

    instrumentation.set_on_retry_hooks([])


def output_folder(path: Path) -> Path:
    """Make a folder for what a command writes.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} is no folder and cannot be made one: {error.strerror}", field="out"
        ) from error
    return path
