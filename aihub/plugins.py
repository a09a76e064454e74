"""Drop-in folders and entry points: import every module of a group; a broken one is listed, never fatal."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from aihub.telemetry import PLUGIN_FAILURES

logger = logging.getLogger(__name__)

FOLDERS = {
    "aihub.decoders": ("aihub.engine.decoders",),
    "aihub.algorithms": (
        "aihub.algorithms.builtin",
        "aihub.algorithms.sound",
        "aihub.algorithms.language",
        "aihub.algorithms.numbers",
    ),
    "aihub.rules": ("aihub.streams.rules", "aihub.streams.tracking"),
    "aihub.sinks": ("aihub.events.sinks",),
}
"""Entry-point group -> our own folders and modules of the same kind."""


@dataclass(frozen=True, slots=True)
class PluginFailure:
    """A plug-in that could not be imported, and why."""

    group: str
    name: str
    cause: str


_loaded: dict[str, tuple[PluginFailure, ...]] = {}


def load_group(group: str) -> tuple[PluginFailure, ...]:
    """Import our folder and all installed entry points of `group`, once per process. Importing registers.

    Returns:
        The plug-ins that failed; they are logged and counted too.
    """
    if group not in _loaded:
        ours = [name for place in FOLDERS[group] for name in _modules(place)]
        theirs = [(entry.name, entry.value) for entry in entry_points(group=group)]
        names = [(name.rpartition(".")[2], name) for name in ours] + theirs
        _loaded[group] = tuple(failure for name, module in names if (failure := _import(group, name, module)))
    return _loaded[group]


def _modules(place: str) -> list[str]:
    """The modules of a folder, or the module itself."""
    spec = importlib.util.find_spec(place)
    folders = None if spec is None else spec.submodule_search_locations
    if folders is None:
        return [place]
    return [f"{place}.{module.name}" for module in pkgutil.iter_modules(folders)]


def _import(group: str, name: str, module: str) -> PluginFailure | None:
    try:
        importlib.import_module(module.partition(":")[0])
    except Exception as error:  # noqa: BLE001 - an edge of the process: anything may go wrong in foreign code
        PLUGIN_FAILURES.labels(group).inc()
        cause = f"{type(error).__name__}: {error}"
        logger.warning("plug-in %s of %s is broken: %s", name, group, cause)
        return PluginFailure(group, name, cause)
    return None


def data_folder(name: str) -> Path:
    """The folder of shipped data `models`, `pipelines` or `benchmarks`: in the wheel, else in the checkout."""
    package = Path(__file__).parent
    shipped = package / "_data" / name
    return shipped if shipped.is_dir() else package.parent / name


CARDS = "aihub.cards"
"""Entry-point group of packages that bring cards: each names a package with folders `pipelines` and `models`."""


def users_folder(home: Path, kind: str) -> Path:
    """Where a hub keeps cards of its users: `pipelines` or `models`. The folder need not exist."""
    return home / "cards" / kind


def card_folders(kind: str, home: Path | None = None) -> tuple[Path, ...]:
    """Every folder with cards of that kind, `pipelines` or `models`: the hub's own, those of installed packages, the users'.

    A package that cannot be found is counted and left out.
    """
    folders = [data_folder(kind)]
    for entry in entry_points(group=CARDS):
        try:
            spec = importlib.util.find_spec(entry.value)
        except Exception as error:  # noqa: BLE001 - foreign code may run while it is looked for
            spec = None
            logger.warning("cards of %s are not to be had: %s", entry.name, error)
        places = [] if spec is None else spec.submodule_search_locations or []
        found = [Path(place) / kind for place in places if (Path(place) / kind).is_dir()]
        if not places:
            PLUGIN_FAILURES.labels(CARDS).inc()
        folders += found
    if home is not None and users_folder(home, kind).is_dir():
        folders.append(users_folder(home, kind))
    return tuple(folders)
