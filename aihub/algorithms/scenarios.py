"""Scenarios: bundles of algorithms that one application system needs together, read from `pipelines/scenarios`."""

from __future__ import annotations

from pathlib import Path

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.contract import ContractError
from aihub.algorithms.examples import footage
from aihub.algorithms.expectations import Watch
from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import SCENARIOS, Registry
from aihub.errors import AihubError, AlgorithmNotFoundError, CardError, ParamsError, ScenarioNotFoundError
from aihub.plugins import data_folder
from aihub.types import (
    Example,
    InputKind,
    Predictor,
    Readiness,
    ScenarioCard,
    StreamTask,
    load_card,
)


class Scenario:
    """A checked scenario card, bound to the algorithms that there are.

    Attributes:
        card: as read from disk.
    """

    def __init__(self, card: ScenarioCard, registry: Registry, where: str = "") -> None:
        """Check that every algorithm exists, can do what is asked of it, and takes the parameters.

        Raises:
            CardError: one does not; says file and field.
        """
        self.card, self._registry = card, registry
        self._where = where or card.id
        for index, part in enumerate(card.watches):
            found = self._found(part.algorithm, f"watches.{index}.algorithm")
            if InputKind.VIDEO not in found.card.input:
                raise self._wrong(f"watches.{index}.algorithm", f"{part.algorithm} watches no streams")
            self._fits(found, part.params, f"watches.{index}.params")
        for index, name in enumerate(card.asks):
            self._found(name, f"asks.{index}")
        names = {part.algorithm for part in card.watches}
        if card.example is not None:
            for name in (*card.example.params, *card.example.events):
                if name not in names:
                    raise self._wrong("example", f"{name} is none of what it watches with")
            for part in card.watches:
                mine = part.params | card.example.params.get(part.algorithm, {})
                self._fits(self._registry.get(part.algorithm), mine, f"example.params.{part.algorithm}")

    def _found(self, name: str, field: str) -> Algorithm:
        try:
            return self._registry.get(name)
        except AlgorithmNotFoundError as error:
            raise CardError(
                f"{field}: {error.message}", where=self._where, hint=error.hint, field=field
            ) from error

    def _fits(self, algorithm: Algorithm, params: dict[str, object], field: str) -> None:
        try:
            algorithm.resolve(params)
        except ParamsError as error:
            raise CardError(
                f"{field}: {error.message}", where=self._where, hint=error.hint, field=field
            ) from error

    def _wrong(self, field: str, message: str) -> CardError:
        return CardError(f"{field}: {message}", where=self._where, field=field)

    def parts(self) -> list[tuple[Algorithm, dict[str, object]]]:
        """The algorithms that watch, each with its parameters here."""
        return [(self._registry.get(part.algorithm), dict(part.params)) for part in self.card.watches]

    def asked(self) -> list[Algorithm]:
        """The algorithms that applications call."""
        return [self._registry.get(name) for name in self.card.asks]

    def missing(self) -> list[str]:
        """Why each algorithm that cannot be used now cannot, in words."""
        every = [algorithm for algorithm, _ in self.parts()] + self.asked()
        states = [(algorithm.card.id, *algorithm.readiness()) for algorithm in every]
        return [f"{name}: {reason}" for name, state, reason in states if state is not Readiness.READY]

    def tasks(self) -> list[StreamTask]:
        """What a stream is to be watched with: every algorithm that can be used now."""
        return [
            StreamTask(id=algorithm.card.id, algorithm=algorithm.card.id, params=params)
            for algorithm, params in self.parts()
            if algorithm.readiness()[0] is Readiness.READY
        ]

    def alarms(self, predictor: Predictor, media: Path | None) -> dict[str, int] | None:
        """Run everything it watches with on its example, as a stream would.

        Returns:
            Alarms by algorithm; None where the clip is not on this machine.

        Raises:
            ContractError: there is no example.
            AihubError: an algorithm failed.
        """
        example = self.card.example
        if example is None:
            raise ContractError(f"{self.card.id} watches no streams, so it has no example")
        shown = footage(_example(self.card), media)
        if shown is None:
            return None
        plan = Plan(predictor)
        watches: dict[str, Watch] = {}
        for algorithm, params in self.parts():
            name = algorithm.card.id
            watches[name] = Watch(algorithm.card.event)
            plan.set(name, algorithm, params | example.params.get(name, {}))
        for frame in shown.frames:
            for name, result in plan.run(frame).items():
                if isinstance(result, AihubError):
                    raise result
                watches[name].see(result, frame.monotonic)
        return {name: watch.events for name, watch in watches.items()}


def _example(card: ScenarioCard) -> Example:
    one = card.example
    assert one is not None  # noqa: S101 - asked before
    return Example(
        media=one.media, fps=one.fps, seconds=one.seconds, expect={"none": False}, evidence=one.evidence
    )


class Scenarios:
    """Every scenario that comes with the hub. A broken card is listed in `failures`; it never stops the others."""

    def __init__(self, registry: Registry, folder: Path | None = None) -> None:
        """Read the cards.

        Args:
            registry: the algorithms that there are.
            folder: where to look, by default the scenarios that come with the hub.
        """
        self._scenarios: dict[str, Scenario] = {}
        self.failures: list[CardError] = []
        folder = data_folder("pipelines") / SCENARIOS if folder is None else folder
        for path in sorted(folder.glob("*.yaml")):
            try:
                made = Scenario(load_card(path, ScenarioCard), registry, str(path))
            except CardError as error:
                self.failures.append(error)
            else:
                self._scenarios[made.card.id] = made

    def list(self) -> list[Scenario]:
        """All, by id."""
        return list(self._scenarios.values())

    def get(self, scenario_id: str) -> Scenario:
        """One.

        Raises:
            ScenarioNotFoundError: nobody has that id; suggests the nearest.
        """
        if scenario_id not in self._scenarios:
            raise ScenarioNotFoundError(scenario_id, self._scenarios)
        return self._scenarios[scenario_id]
