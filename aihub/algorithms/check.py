"""The proof of an algorithm: schema, contract, laws, way over the wire, and the examples of its card."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.contract import (
    ContractError,
    GeneratedDetections,
    NoTensorsError,
    check_batch,
    check_confidence,
    check_shapes,
    check_wire,
    labels_of,
    unsound,
)
from aihub.algorithms.drawing import draw, overlays
from aihub.algorithms.examples import Footage, earlier, footage, is_synthetic, numbers, recording
from aihub.algorithms.expectations import Expect, Watch, read_expect
from aihub.algorithms.hearing import hear
from aihub.algorithms.inference import infer
from aihub.algorithms.planner import Plan
from aihub.algorithms.reading import Item, read
from aihub.algorithms.reading_contract import (
    check_items,
    check_reading_confidence,
    check_together,
    unsound_read,
)
from aihub.algorithms.sound_contract import check_sound_confidence, check_sounds, unsound_heard
from aihub.engine.machine import cores
from aihub.engine.wanted import WantedWeights
from aihub.errors import AihubError, CardError
from aihub.types import (
    AlgorithmCard,
    AnyResult,
    Example,
    Findings,
    Frame,
    InputKind,
    Passage,
    Picture,
    Predictor,
    Readiness,
)

Evidence = Literal["real", "synthetic"]


class Check(BaseModel):
    """One thing that was checked. What could not be tried passes, is `skipped`, and says why."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    skipped: bool = False
    detail: str = ""
    seconds: float = 0.0


class CheckReport(BaseModel):
    """All that is known of one algorithm on this machine."""

    id: str
    version: int
    domain: str
    title: dict[str, str]
    state: Readiness
    reason: str = ""
    evidence: Evidence | None = Field(
        None,
        description="Best media on which the algorithm was just seen to find what it is for: a real picture or "
        "clip, or one drawn for the purpose. None when no such example ran or all failed.",
    )
    checks: tuple[Check, ...]
    wanted: tuple[WantedWeights, ...] = Field(
        (),
        description="Weights that are not here, each with file, source and licence, where whoever asked looked.",
    )
    pictures: tuple[str, ...] = Field((), description="Files with the results drawn, where asked for.")

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(check.passed for check in self.checks)

    def failures(self) -> list[str]:
        """Every failed check, in words."""
        return [f"{check.name}: {check.detail}" for check in self.checks if not check.passed]


class _SkippedError(Exception):
    """A check cannot be tried here; the message says why."""


def check_all(
    algorithms: Iterable[Algorithm],
    predictor: Predictor,
    *,
    media: Path | None = None,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[CheckReport]:
    """Check several algorithms, as many at once as there are cores; `progress` hears the id of each when it is done. See `check`."""

    def one(algorithm: Algorithm) -> CheckReport:
        report = check(algorithm, predictor, media=media, out=out)
        progress(algorithm.card.id)
        return report

    with ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="check") as pool:
        return [*pool.map(one, algorithms)]


def check(
    algorithm: Algorithm, predictor: Predictor, *, media: Path | None = None, out: Path | None = None
) -> CheckReport:
    """Prove one algorithm.

    Contract and laws run on generated detections, so they need no weights; stages that run raw tensors are tried
    with the real models where those are here. Examples need the weights and, unless drawn, the real media.

    Args:
        algorithm: from a registry.
        predictor: whatever runs models.
        media: folder of the real test media, None when it is not here.
        out: folder for a picture of each example with the result drawn; None writes none.
    """
    state, reason = algorithm.readiness()
    checks = [_tried("schema", lambda: _check_schema(algorithm))]
    if state is not Readiness.BROKEN:
        checks += _promises(algorithm, predictor, ready=state is Readiness.READY)
    evidence: set[Evidence] = set()
    pictures: list[str] = []
    for index, example in enumerate(algorithm.card.examples, 1):
        trial = _Trial(algorithm, predictor, example, media)
        done = _tried(f"example {index}: {example.shown}", lambda trial=trial: trial.run(state))  # type: ignore[misc]
        checks.append(done)
        if done.passed and not done.skipped and trial.shows_presence:
            evidence.add(example.evidence)
        if out is not None and (file := trial.save(out, index)):
            pictures.append(file)
    best: Evidence | None = "real" if "real" in evidence else "synthetic" if evidence else None
    card = algorithm.card
    return CheckReport(
        id=card.id,
        version=card.version,
        domain=card.domain,
        title=dict(card.title),
        state=state,
        reason=reason,
        evidence=best,
        checks=tuple(checks),
        pictures=tuple(pictures),
    )


def _tried(name: str, attempt: Callable[[], str]) -> Check:
    begun = time.perf_counter()
    passed, skipped = True, False
    try:
        detail = attempt()
    except _SkippedError as reason:
        skipped, detail = True, str(reason)
    except Exception as error:  # noqa: BLE001 - the report is the edge: whatever a card or plug-in does, it is told
        passed = False
        detail = str(error) if isinstance(error, AihubError) else f"{type(error).__name__}: {error}"
    seconds = round(time.perf_counter() - begun, 3)
    return Check(name=name, passed=passed, skipped=skipped, detail=detail, seconds=seconds)


def _check_schema(algorithm: Algorithm) -> str:
    card = algorithm.card
    known = json.loads(json.dumps(algorithm.params_schema()))["properties"] if card.params else {}
    if set(known) != set(card.params):
        raise CardError("the JSON schema and the card name different parameters", field="params")
    for index, example in enumerate(card.examples):
        read_expect(example.expect)
        algorithm.resolve(example.params)
        if is_synthetic(example) and example.evidence != "synthetic":
            field = f"examples.{index}.evidence"
            raise CardError(f"{field}: what is drawn or held still is synthetic evidence", field=field)
    return f"{len(card.params)} parameters, {len(card.stages)} stages"


def _promises(algorithm: Algorithm, predictor: Predictor, *, ready: bool) -> Iterator[Check]:
    """Contract, batch law and confidence law: on generated detections, else with the real models."""
    generated = GeneratedDetections(labels_of(algorithm))
    laws = _laws(algorithm.card)
    for name, law in laws:

        def attempt(law: Callable[[Algorithm, Predictor], None] = law) -> str:
            try:
                law(algorithm, generated)
            except NoTensorsError as error:
                if not ready:
                    raise _SkippedError("not checked: the weights are not here") from error
                law(algorithm, predictor)
                return "with the real models"
            return "on generated detections" if algorithm.models() else ""

        yield _tried(name, attempt)


Law = Callable[[Algorithm, Predictor], None]


def _laws(card: AlgorithmCard) -> list[tuple[str, Law]]:
    """What an algorithm of that kind promises. Where items follow each other, several are not what each is alone."""
    contract, batch, confidence = check_shapes, check_batch, check_confidence
    if _reads(card):
        contract, batch, confidence = check_items, check_together, check_reading_confidence
    laws: list[tuple[str, Law]] = [("contract", contract)]
    if InputKind.AUDIO in card.input:
        laws, confidence = [("contract", check_sounds)], check_sound_confidence
    elif not card.sequence:
        laws.append(("batch law", batch))
    if "confidence" in card.params:
        laws.append(("confidence law", confidence))
    return laws


def _reads(card: AlgorithmCard) -> bool:
    return InputKind.TEXT in card.input or InputKind.SERIES in card.input


class _Trial:
    """One example, run as a caller would run it."""

    def __init__(
        self, algorithm: Algorithm, predictor: Predictor, example: Example, media: Path | None
    ) -> None:
        self._algorithm = algorithm
        self._predictor = predictor
        self._example = example
        self._media = media
        self._best: tuple[int, Frame, AnyResult] | None = None
        self.shows_presence = False

    def run(self, state: Readiness) -> str:
        """Hold what the algorithm gives against what the card expects; returns what was seen.

        Raises:
            ContractError: an expectation does not hold, or a result is unsound.
            AihubError: a stage failed.
        """
        expect = read_expect(self._example.expect)
        self.shows_presence = expect.shows_presence()
        if state is not Readiness.READY:
            raise _SkippedError(f"not checked: {state.value}")
        if InputKind.AUDIO in self._algorithm.card.input:
            return self._listen(expect)
        if _reads(self._algorithm.card):
            return self._read(expect)
        shown = footage(self._example, self._media)
        if shown is None:
            raise _SkippedError("not checked: media absent")
        watch = Watch(self._algorithm.card.event)
        for frame, result in self._results(shown):
            if problem := unsound(result, frame.width, frame.height):
                raise ContractError(f"frame {frame.seq}: {problem}")
            watch.see(result, frame.monotonic)
            self._keep(frame, result)
        if self._best is None:
            raise ContractError("the example has no frames")
        check_wire(self._best[2])
        return self._verdict(watch, expect)

    def _listen(self, expect: Expect) -> str:
        sound = recording(self._example, self._media)
        if sound is None:
            raise _SkippedError("not checked: media absent")
        result = hear(self._algorithm, sound, self._example.params, self._predictor)
        if problem := unsound_heard(result, sound.duration):
            raise ContractError(problem)
        check_wire(result)
        watch = Watch(self._algorithm.card.event)
        watch.see(result, 0.0)
        return self._verdict(watch, expect)

    def _read(self, expect: Expect) -> str:
        items: list[Item] = [Passage(text, seq) for seq, text in enumerate(self._example.texts)]
        items = items or [numbers(self._example)]
        watch = Watch(self._algorithm.card.event)
        results = read(self._algorithm, items, self._example.params, self._predictor)
        for item, result in zip(items, results, strict=True):
            if problem := unsound_read(result, item):
                raise ContractError(problem)
            check_wire(result)
            watch.see(result, float(item.seq))
        return self._verdict(watch, expect)

    def _results(self, shown: Footage) -> Iterator[tuple[Frame, AnyResult]]:
        if not shown.clip:
            before = earlier(self._example, self._media)
            if before is None:
                raise _SkippedError("not checked: media absent")
            for frame in shown.frames:
                frame.seq, frame.monotonic = len(before), float(len(before))
                asked = [*before, frame]
                yield frame, infer(self._algorithm, asked, self._example.params, self._predictor)[-1]
            return
        plan = Plan(self._predictor)
        plan.set("example", self._algorithm, self._example.params)
        for frame in shown.frames:
            result = plan.run(frame)["example"]
            if isinstance(result, AihubError):
                raise result
            yield frame, result

    def _keep(self, frame: Frame, result: AnyResult) -> None:
        """Remember the frame with most to see: alarms first, then rows."""
        weight = 1000 * len(result) + len(result.found) if isinstance(result, Findings) else len(result)
        if self._best is None or weight > self._best[0]:
            self._best = (weight, frame, result)

    def _verdict(self, watch: Watch, expect: Expect) -> str:
        missed = watch.misses(expect)
        if missed:
            raise ContractError("; ".join(missed), hint=f"seen: {watch.summary()}")
        return watch.summary()

    def save(self, out: Path, index: int) -> str:
        """Draw the frame with most to see; returns the file, empty when nothing ran."""
        if self._best is None:
            return ""
        _, frame, result = self._best
        card = self._algorithm.card
        zones, lines = overlays(card, self._algorithm.resolve(self._example.params).params)
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{card.id}-{index}.jpg"
        shown = draw(frame.image, result, zones=zones, lines=lines)
        made = result.found if isinstance(result, Findings) else result
        if isinstance(made, Picture):
            shown = np.hstack(
                [frame.image, shown]
            )  # a made picture says little without the one that it was made of
        cv2.imwrite(str(file), shown)
        return str(file)
