"""Bare ONNX Runtime on an accelerator: float16, inputs and outputs that stay on the device, batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

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
    if provider not in providers():
        raise NotHereError(f"ONNX Runtime offers {', '.join(providers()) or 'nothing'} here, not {provider}: pip install 'aihub[gpu]' on a machine with a card")  # fmt: skip
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


def _name(point: Point) -> str:
    half, bound, batch = point
    return (
        f"{'float16' if half else 'float32'}, {'bound to the device' if bound else 'copied'}, batch {batch}"
    )


def _cost(subject: Subject, session: BareOnnxRuntime, batch: int, seconds: float) -> Callable[[], float]:
    feeds = subject.feeds(batch)
    return lambda: in_lanes(lambda: session.run(feeds), RUNS_ON_DEVICE, seconds) / batch
