"""The tuned engine against loops written by hand over the runtimes, and against the runtimes' own benchmark programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from aihub.bench.results import least
from aihub.bench.runtimes.bare import DEFAULTS, Bare, Feeds, in_lanes, variants
from aihub.bench.runtimes.limits import Limit, limits
from aihub.bench.runtimes.subjects import Subject
from aihub.bench.stand import Stand
from aihub.bench.turns import Turns
from aihub.engine.backends import backends
from aihub.engine.engine import Engine
from aihub.engine.machine import cores, processor
from aihub.engine.session import RunSettings
from aihub.errors import AihubError

ENGINE = "tuned engine"
BEST_SHARE = 0.95
OVER_DEFAULTS = {"yolox-nano": 1.4, "drawn-yolo11n-class": 2.4}
"""What the tuned engine is to be faster than ONNX Runtime's defaults by, where OpenVINO and AMX are there."""
ANSWER_S = 60.0


def compared(stand: Stand, subject: Subject, *, turns: int, seconds: float, programs: bool) -> None:
    """Add the engine's speed over the best loop by hand, over ONNX Runtime's defaults, and over the limit in its precision.

    Args:
        stand: where figures go.
        subject: tuned already.
        turns: how often everything is measured.
        seconds: of one measurement.
        programs: whether the runtimes' own benchmark programs take part.
    """
    chosen, feeds = subject.settings(), subject.feeds()
    tried = variants(subject.graph)
    outside = _programs(stand, subject, chosen.precision) if programs else {}
    with ExitStack() as open_:
        costs: dict[str, Callable[[], float]] = {}
        for name, (_, lanes, opening) in list(tried.items()):
            try:
                session = opening()
            except RuntimeError as error:  # OpenVINO does not know every operator
                stand.skipped[f"{subject.name}: {name}"] = str(error).strip().rpartition("\n")[2]
                del tried[name]
                continue
            open_.callback(session.close)
            costs[name] = _loop(session, feeds, lanes, seconds)
        costs |= {name: partial(limit, seconds) for name, limit in outside.items()}
        costs[ENGINE] = lambda: through(subject.engine, subject.name, feeds, seconds)
        taken = stand.take_turns(costs, turns)
    rows = ", ".join(f"{name} {1e3 * taken.median(name):.3g}" for name in costs)
    told = f"engine chose {chosen}; ms an item: {rows}"
    best = min(tried, key=taken.median)
    stand.ratio(f"engine-over-best/{subject.slug}", f"{subject.name}: tuned engine / best loop by hand", taken, best, ENGINE,
                better="higher", target=least(BEST_SHARE), detail=f"best by hand: {best}; {told}")  # fmt: skip
    _over_defaults(stand, subject, taken)
    _over_limit(stand, subject, taken, chosen, {name: tried[name][0] for name in tried}, list(outside))


def _programs(stand: Stand, subject: Subject, precision: str) -> dict[str, Limit]:
    """The runtimes' own benchmark programs that run this graph."""
    able = {}
    for name, limit in limits(subject.file, subject.inputs, precision, stand.folder / "limits").items():
        try:
            limit(1.0)
            able[name] = limit
        except AihubError as error:
            stand.skipped[f"{subject.name}: {name}"] = error.message
    return able


def _loop(session: Bare, feeds: Feeds, lanes: int, seconds: float) -> Callable[[], float]:
    return lambda: in_lanes(lambda: session.run(feeds), lanes, seconds)


def _over_defaults(stand: Stand, subject: Subject, taken: Turns) -> None:
    wanted = OVER_DEFAULTS.get(subject.name)
    able = "openvino" in backends() and "amx_tile" in processor()[1].split()
    target = None if wanted is None else least(wanted, applies=able, condition="with OpenVINO and AMX")
    stand.ratio(f"engine-over-defaults/{subject.slug}", f"{subject.name}: tuned engine / ONNX Runtime defaults", taken, DEFAULTS,
                ENGINE, better="higher", target=target)  # fmt: skip


def _over_limit(
    stand: Stand,
    subject: Subject,
    taken: Turns,
    chosen: RunSettings,
    precisions: Mapping[str, str],
    programs: list[str],
) -> None:
    """Against the best of the benchmark programs in the precision that the engine chose; without any, of the bare loops."""
    loops = [name for name, precision in precisions.items() if precision == chosen.precision]
    if not (programs or loops):  # an accelerator in a precision that no loop on the CPU has
        return
    limit = min(programs or loops, key=taken.median)
    why = "" if programs else "; no benchmark program of a runtime is here, so a bare loop is the limit"
    stand.ratio(f"engine-over-limit/{subject.slug}", f"{subject.name}: tuned engine / limit in {chosen.precision}", taken, limit,
                ENGINE, better="higher", target=least(BEST_SHARE), labels={"limit": limit},
                detail=f"limit: {limit}, {1e3 * taken.median(limit):.3g} against {1e3 * taken.median(ENGINE):.3g} ms an item{why}")  # fmt: skip


def through(engine: Engine, name: str, feeds: Feeds, seconds: float) -> float:
    """Seconds an item through the engine's queue, with twice as many in flight as cores.

    Raises:
        AihubError: a run failed.
        TimeoutError: one was not answered.
    """
    flying = [engine.run(name, feeds) for _ in range(2 * cores())]
    begun, count = time.perf_counter(), 0
    while not count or time.perf_counter() - begun < seconds:
        flying.pop(0).result(timeout=ANSWER_S)
        flying.append(engine.run(name, feeds))
        count += 1
    took = time.perf_counter() - begun
    for future in flying:
        future.result(timeout=ANSWER_S)
    return took / count
