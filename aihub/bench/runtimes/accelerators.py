"""Bare ONNX Runtime on an accelerator: float16, inputs and outputs that stay on the device, batches, several models at once."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from aihub.bench.results import Curve
from aihub.bench.runtimes.bare import BareOnnxRuntime, in_lanes, providers
from aihub.bench.runtimes.subjects import Subject
from aihub.bench.stand import NotHereError, Stand
from aihub.engine.backends import RUNS_ON_DEVICE

Point = tuple[bool, bool, int]
"""Whether in float16, whether bound to the device, items in a run."""


def accelerated(
    stand: Stand, subject: Subject, provider: str, batches: Sequence[int], *, turns: int, seconds: float
) -> None:
    """Add speeds as ratios to float32, unbound, one item a run; and a curve against the batch.

    Args:
        stand: where figures go.
        subject: the model.
        provider: `CUDA` or `Tensorrt`.
        batches: items in a run, where the graph's first side is free.
        turns: how often each is measured.
        seconds: of one measurement.

    Raises:
        NotHereError: ONNX Runtime does not offer the provider, or it did not attach.
    """
    _offered(provider)
    free = all(port.shape[:1] == (None,) for port in subject.inputs)
    points = [
        (half, bound, batch)
        for half in (False, True)
        for bound in (False, True)
        for batch in (sorted(set(batches) | {1}) if free else [1])
    ]
    with ExitStack() as open_:
        opened: dict[tuple[bool, bool], BareOnnxRuntime] = {}
        for half, bound in dict.fromkeys((half, bound) for half, bound, _ in points):
            session = BareOnnxRuntime(subject.graph, 1, provider=provider, half=half, bound=bound)
            open_.callback(session.close)
            if session.attached != f"{provider}ExecutionProvider":
                raise NotHereError(f"{provider} did not attach, only {session.attached}")
            opened[half, bound] = session
        costs = {
            _name(point): _cost(subject, opened[point[0], point[1]], point[2], seconds) for point in points
        }
        taken = stand.take_turns(costs, turns)
    base, device = _name((False, False, 1)), provider.lower()
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        half, bound, batch = point
        rate = 1 / taken.median(_name(point))
        lines.setdefault(_name(point).rpartition(",")[0], []).append((float(batch), rate))
        if _name(point) != base:
            stand.ratio(f"{device}/{subject.slug}/{'f16' if half else 'f32'}-{'bound' if bound else 'copied'}-b{batch}",
                        f"{subject.name} on {provider}: {_name(point)} / {base}", taken, base, _name(point), better="higher",
                        detail=f"{rate:.4g} items/s", labels={"model": subject.name, "provider": provider, "batch": str(batch)})  # fmt: skip
    stand.curves.append(Curve(name=f"{device}/{subject.slug}", title=f"{subject.name} on {provider}: throughput against batch",
                              x="items in a run", y="items/s", log_x=True,
                              lines={name: tuple(line) for name, line in lines.items()}))  # fmt: skip


def together(
    stand: Stand,
    subjects: Sequence[Subject],
    provider: str,
    *,
    turns: int,
    seconds: float,
    device_bytes: int = 0,
) -> None:
    """Several models on one card at the same time: what each still does of what it does alone, added up.

    One says that they share the card without loss; more, that they fill each other's gaps.

    Args:
        stand: where the figure goes.
        subjects: the models, two at least.
        provider: `CUDA` or `Tensorrt`.
        turns: how often it is measured.
        seconds: of one measurement.
        device_bytes: most memory of the card that each takes; 0 sets no limit.

    Raises:
        NotHereError: ONNX Runtime does not offer the provider, or it did not attach.
    """
    _offered(provider)
    with ExitStack() as open_:
        runs: list[Callable[[], object]] = []
        for one in subjects:
            session = BareOnnxRuntime(one.graph, 1, provider=provider, device_bytes=device_bytes)
            open_.callback(session.close)
            if session.attached != f"{provider}ExecutionProvider":
                raise NotHereError(f"{provider} did not attach, only {session.attached}")
            runs.append(partial(session.run, one.feeds()))
        pool = open_.enter_context(ThreadPoolExecutor(len(runs)))
        kept = []
        for _ in range(turns + 1):  # the first warms up
            alone = [in_lanes(run, RUNS_ON_DEVICE, seconds) for run in runs]
            beside = list(pool.map(lambda run: in_lanes(run, RUNS_ON_DEVICE, seconds), runs))
            kept.append([one / other for one, other in zip(alone, beside, strict=True)])
    shares = [sum(turn) for turn in kept[1:]]
    each = ", ".join(f"{one.name} {share:.2f}" for one, share in zip(subjects, kept[-1], strict=True))
    stand.add(f"{provider.lower()}/together", f"{len(subjects)} models on one card, {provider}: speeds at the same time / alone, added up",
              statistics.median(shares), samples=shares, against="alone", labels={"provider": provider},
              detail=f"last turn: {each}; arena {'without limit' if not device_bytes else f'{device_bytes >> 20} MiB a model'}")  # fmt: skip


def _offered(provider: str) -> None:
    if provider not in providers():
        raise NotHereError(f"ONNX Runtime offers {', '.join(providers()) or 'nothing'} here, not {provider}: pip install 'aihub[gpu]' on a machine with a card")  # fmt: skip


def _name(point: Point) -> str:
    half, bound, batch = point
    return (
        f"{'float16' if half else 'float32'}, {'bound to the device' if bound else 'copied'}, batch {batch}"
    )


def _cost(subject: Subject, session: BareOnnxRuntime, batch: int, seconds: float) -> Callable[[], float]:
    feeds = subject.feeds(batch)
    return lambda: in_lanes(lambda: session.run(feeds), RUNS_ON_DEVICE, seconds) / batch
