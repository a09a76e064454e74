"""What a suite measures on, and where it puts what it finds: engine, registry, hub, media; figures, curves, histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aihub.algorithms.registry import Registry
from aihub.bench.machine import Pace
from aihub.bench.results import Curve, Figure, Histogram, Kind, Stack, Target
from aihub.bench.turns import Turns, interval, take_turns
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.errors import AihubError
from aihub.plugins import data_folder
from aihub.settings import Settings as HubSettings

T = TypeVar("T")


class NotHereError(AihubError):
    """What a part of a suite needs is not on this machine; the part is skipped and the result says so."""


def named(variable: str, root: str, what: str, *parts: str) -> Path:
    """A file or folder below one that an environment variable names.

    Args:
        variable: its name, for messages.
        root: what it says; empty where it is not set.
        what: it names, for messages.
        parts: of the path below.

    Raises:
        NotHereError: it is not set, or has no such file.
    """
    if not root:
        raise NotHereError(f"{variable} is not set: it names {what}")
    path = Path(root, *parts)
    if not path.exists():
        raise NotHereError(f"{variable} has no {'/'.join(parts)}")
    return path


class Kept:
    """What suites that follow each other share, such as a hub: opened by the first that asks, closed when none asks any more."""

    def __init__(self) -> None:
        self._open, self._there = ExitStack(), dict[str, Any]()

    def take(
        self, name: str, opens: Callable[[], AbstractContextManager[T]], lives: Callable[[T], bool]
    ) -> T:
        """What goes by that name.

        Args:
            name: of it.
            opens: makes it, if it is not there.
            lives: whether it can still be used; what cannot is made anew.
        """
        found: T | None = self._there.get(name)
        if found is None or not lives(found):
            found = self._there[name] = self._open.enter_context(opens())
        return found

    def close(self) -> None:
        """Close everything."""
        self._there.clear()
        self._open.close()


class Stand:
    """A run of one suite.

    Args:
        folder: for what the suite writes while it runs; profiles of tuned models are kept in it from suite to suite.
        seed: of everything random.
        quick: whether this is the short selection.
        say: told what is being done, for the progress bar.
        kept: what this suite shares with those around it; None if nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 0,
        quick: bool = False,
        say: Callable[[str], None] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.folder, self.seed, self.quick, self._tell, self.kept = folder, seed, quick, say, kept
        self.pace = Pace()
        self.figures: list[Figure] = []
        self.curves: list[Curve] = []
        self.histograms: list[Histogram] = []
        self.stacks: list[Stack] = []
        self.skipped: dict[str, str] = {}
        self._open = ExitStack()
        self._engine: Engine | None = None
        self._registry: Registry | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()
        self._engine = self._registry = None

    def say(self, what: str) -> None:
        """Tell the progress bar what is being done."""
        if self._tell is not None:
            self._tell(what)

    # What is measured on.

    @property
    def profiles(self) -> Path:
        """Where tuned models are remembered; a hub of the suite reads it too."""
        folder = self.folder / "profiles"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def engine(self) -> Engine:
        """An engine of this process, over the models of this machine; opened once."""
        if self._engine is None:
            mirror = HubSettings().model_mirror
            store = ModelStore.from_folder(data_folder("models"), cache=self.folder / "models", mirror=mirror)
            self._engine = self._open.enter_context(Engine(store, profiles=self.profiles))
        return self._engine

    @property
    def registry(self) -> Registry:
        """The algorithms, on that engine."""
        if self._registry is None:
            self._registry = Registry(self.engine)
        return self._registry

    def media(self, *parts: str) -> Path:
        """A file or folder of the test media.

        Raises:
            NotHereError: AIHUB_TEST_MEDIA is not set, or has no such file.
        """
        return named("AIHUB_TEST_MEDIA", HubSettings().test_media, "the folder of clips and pictures", *parts)

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """A part of the suite: what it lacks on this machine is noted, and the suite goes on."""
        self.say(what)
        self.pace.take()
        try:
            yield
        except NotHereError as error:
            self.skipped[what] = error.message
        finally:
            self.pace.take()

    # What is found.

    def add(
        self,
        name: str,
        title: str,
        value: float,
        *,
        unit: str = "x",
        kind: Kind = "ratio",
        better: str = "higher",
        target: Target | None = None,
        samples: Sequence[float] = (),
        against: str = "",
        detail: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Figure:
        """Note a figure; its interval comes from its samples."""
        figure = Figure.model_validate({
            "name": name, "title": title, "value": value, "unit": unit, "kind": kind, "better": better, "target": target,
            "samples": tuple(samples), "interval": interval(samples, seed=self.seed), "against": against, "detail": detail,
            "labels": dict(labels or {}),
        })  # fmt: skip
        self.figures.append(figure)
        return figure

    def ratio(
        self,
        name: str,
        title: str,
        taken: Turns,
        above: str,
        below: str,
        *,
        better: str = "lower",
        target: Target | None = None,
        detail: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Figure:
        """Note cost(above) / cost(below), turn by turn. A speed is the same with the two exchanged and better="higher"."""
        ratios = taken.ratios(above, below)
        return self.add(name, title, taken.ratio(above, below), better=better, target=target, samples=ratios,
                        against=below if better == "lower" else above, labels=labels,
                        detail=detail or f"turns {taken.spread(above, below)}")  # fmt: skip

    def take_turns(
        self, variants: Mapping[str, Callable[[], float]], turns: int, *, warm_up: int = 1
    ) -> Turns:
        """`take_turns`, with the pace of the machine taken along and the progress bar told."""

        def step(name: str) -> None:
            self.pace.take()
            self.say(name)

        return take_turns(variants, turns, warm_up=warm_up, step=step)
