"""Measured settings on disk: one small JSON file for each model on each kind of machine."""

from __future__ import annotations

import json
import logging
import os
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aihub.engine.session import RunSettings
from aihub.errors import ConfigError

logger = logging.getLogger(__name__)

FORMAT = 1


class ProfileBook:
    """Profiles of the models on one machine.

    Args:
        folder: where they are kept; None keeps them for this process only.
        machine: fingerprint of this machine; profiles of others are not seen.
    """

    def __init__(self, folder: Path | None, machine: str) -> None:
        self._folder = folder
        self._machine = machine
        self._unsaved: dict[str, RunSettings] = {}

    def path(self, digest: str) -> Path | None:
        """File of a model by the sha256 of its weights; None without a folder."""
        return None if self._folder is None else self._folder / f"{digest[:16]}-{self._machine}.json"

    def find(self, digest: str) -> RunSettings | None:
        """The stored settings; None when there are none, or the file is damaged, which is logged."""
        path = self.path(digest)
        if path is None:
            return self._unsaved.get(digest)
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            if (body["format"], body["digest"], body["machine"]) == (FORMAT, digest, self._machine):
                return RunSettings.from_json(body["settings"])
            error: Exception = ValueError("it is of another format, model or machine")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as caught:
            error = caught
        logger.warning("profile %s is not used: %s", path, error)
        return None

    def store(self, digest: str, settings: RunSettings, trials: list[dict[str, Any]]) -> Path | None:
        """Keep settings with the trials that led to them; replaces what was there at once.

        Raises:
            ConfigError: the folder cannot be written.
        """
        path = self.path(digest)
        if path is None:
            self._unsaved[digest] = settings
            return None
        body = {
            "format": FORMAT,
            "digest": digest,
            "machine": self._machine,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": settings.to_json(),
            "trials": trials,
        }
        part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(body, indent=1), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise ConfigError(f"the profile {path} cannot be written: {error}") from error
        return path
