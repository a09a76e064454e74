"""The models that are measured: those of the store by name, and graphs that are drawn here for their speed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aihub.bench.runtimes.bare import Feeds, graph_of
from aihub.bench.runtimes.graphs import SIDE, detector
from aihub.bench.stand import NotHereError, Stand
from aihub.engine.backends import backends
from aihub.engine.engine import Engine
from aihub.engine.measure import example_feeds
from aihub.engine.session import Port, RunSettings
from aihub.engine.store import ModelStore
from aihub.errors import AihubError, ConfigError, WeightsMissingError
from aihub.types import ModelCard

Drawn = Literal["yolo11n-class", "small"]
DRAWN: dict[Drawn, tuple[int, float]] = {"yolo11n-class": (SIDE, 1.0), "small": (160, 0.25)}
"""Side of the picture and share of the channels of each."""
_DRAWN_NAMES = {f"drawn-{name}" for name in DRAWN}


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under measurement.

    Attributes:
        name: of the model.
        engine: runs it.
        graph: as the engine prepares it.
        inputs: of the graph.
        pictures: whether it takes pictures one by one, so that a free first side may be fixed to 1.
        file: the graph, for programs that want one.
        drawn: whether its weights are random.
    """

    name: str
    engine: Engine
    graph: bytes
    inputs: tuple[Port, ...]
    pictures: bool
    file: Path
    drawn: bool = False

    def feeds(self, items: int = 1) -> Feeds:
        """Plausible inputs of so many items."""
        return example_feeds(self.inputs, items)

    def settings(self) -> RunSettings:
        """How the engine runs it; loads it first."""
        self.engine.warm([self.name])
        return next(loaded.settings for loaded in self.engine.loaded() if loaded.name == self.name)

    @property
    def slug(self) -> str:
        """The name as a part of the name of a figure."""
        return self.name.lower()


def names(engine: Engine, asked: Sequence[str]) -> list[str]:
    """Names of models, where `all` stands for every one that has weights here."""
    if "all" not in asked:
        return list(asked)
    return sorted(card.name for card in engine.store.cards() if engine.store.available(card))


def subject(stand: Stand, engine: Engine, name: str) -> Subject:
    """A model of a store.

    Raises:
        NotHereError: its weights are not here, or its inputs have sizes that nobody knows.
    """
    try:
        card, graph = graph_of(engine, name)
        runtime = "onnxruntime" if "onnxruntime" in backends() else next(iter(backends()))
        session = backends()[runtime].load(graph, RunSettings(runtime))
        inputs = session.inputs
        session.close()
        example_feeds(inputs, 1)
    except ConfigError as error:
        raise NotHereError(f"{name}: {error.message}") from error
    except AihubError as error:
        raise NotHereError(f"{name} is not to be had: {error.message}") from error
    folder = stand.folder / "graphs"
    folder.mkdir(exist_ok=True)
    file = folder / f"{card.name}.onnx"
    file.write_bytes(graph)
    return Subject(card.name, engine, graph, inputs, card.input is not None, file, card.name in _DRAWN_NAMES)


@contextmanager
def drawn(stand: Stand, which: Sequence[Drawn]) -> Iterator[Engine]:
    """An engine that knows drawn graphs, by their names."""
    folder = stand.folder / "drawn"
    folder.mkdir(exist_ok=True)
    cards = [(_drawn_card(one, folder), folder) for one in which]
    with ExitStack() as open_:
        yield open_.enter_context(
            Engine(ModelStore(cards, cache=folder / "cache"), profiles=folder / "profiles")
        )


def tuned(engine: Engine, name: str, budget_s: float) -> None:
    """Tune a model, unless an earlier suite of this run has.

    Raises:
        NotHereError: its weights are not here.
    """
    try:
        engine.warm([name])
        card = engine.store.resolve(name)
        if not any(loaded.tuned for loaded in engine.loaded() if loaded.name == card.name):
            engine.tune(name, budget_s=budget_s)
    except WeightsMissingError as error:
        raise NotHereError(f"{name} is not to be had: {error.message}") from error


def _drawn_card(which: Drawn, folder: Path) -> ModelCard:
    side, width = DRAWN[which]
    graph, drawing = detector(side, width)
    path = folder / f"{which}.onnx"
    path.write_bytes(graph)
    return ModelCard.model_validate({
        "name": f"drawn-{which}", "task": "object-detection",
        "summary": f"Random weights, {drawing.flop / 1e9:.1f} GFLOP, for speed only.",
        "input": {"name": "images", "size": [side, side], "layout": "nhwc"},
        "artifact": {"uri": f"file:{path.name}", "sha256": hashlib.sha256(graph).hexdigest(), "bytes": len(graph),
                     "license": "Apache-2.0"},
    })  # fmt: skip
