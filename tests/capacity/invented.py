"""Costs that nobody measured, round enough to be added up by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from aihub.capacity.costs import AlgorithmWork, Costs, DecodeCost, Linear, Memory, Piece
from aihub.types.capacity import MachineKind, PlanAsked, StreamGroup

ROUND = Costs(
    measured_at=datetime(2026, 1, 1, tzinfo=UTC),
    fingerprint="0123456789ab",
    processor="round numbers",
    cores=4,
    memory_gb=8.0,
    footage="none",
    stream_ms_s=2.0,
    sample_ms=Linear(fixed=1.0),
    decode=(
        DecodeCost(codec="h264", mode="full", ms=Linear(fixed=2.0), footage="none"),
        DecodeCost(codec="h264", mode="key", ms=Linear(fixed=0.5), footage="none"),
    ),
    pieces={
        "box": Piece(title="box", kind="letterbox", own_ms=Linear(fixed=1.0)),
        "detect": Piece(
            title="detect",
            kind="stage",
            models=("coco",),
            own_ms=Linear(fixed=1.0),
            model_ms=Linear(fixed=10.0),
        ),
        "people": Piece(title="people", kind="stage", own_ms=Linear(fixed=1.0)),
        "cars": Piece(title="cars", kind="stage", own_ms=Linear(fixed=2.0)),
        "fire": Piece(
            title="fire",
            kind="stage",
            models=("fire",),
            own_ms=Linear(fixed=1.0),
            model_ms=Linear(fixed=20.0),
        ),
    },
    algorithms={
        "people": AlgorithmWork(version=1, pieces=("box", "detect", "people"), models=("coco",)),
        "cars": AlgorithmWork(version=1, pieces=("box", "detect", "cars"), models=("coco",)),
        "fire": AlgorithmWork(version=1, pieces=("box", "fire"), models=("fire",)),
    },
    memory=Memory(process_mb=100.0, models_mb={"coco": 20.0, "fire": 30.0}, stream_mb=Linear(fixed=10.0)),
    snapshot_kb=Linear(fixed=98.0),
)

amounts = st.floats(0, 50, allow_nan=False)
lines = st.builds(Linear, fixed=amounts, per_mpixel=amounts)


@st.composite
def any_costs(draw: st.DrawFn) -> Costs:
    """The same algorithms at any price."""
    pieces = {
        key: piece.model_copy(
            update={"own_ms": draw(lines), "model_ms": draw(lines) if piece.models else Linear()}
        )
        for key, piece in ROUND.pieces.items()
    }
    decode = tuple(one.model_copy(update={"ms": draw(lines)}) for one in ROUND.decode)
    memory = Memory(
        process_mb=draw(amounts),
        models_mb={"coco": draw(amounts), "fire": draw(amounts)},
        stream_mb=draw(lines),
    )
    return ROUND.model_copy(
        update={"pieces": pieces, "decode": decode, "memory": memory, "sample_ms": draw(lines), "stream_ms_s": draw(amounts)}
    )  # fmt: skip


def groups(name: str = "all") -> st.SearchStrategy[StreamGroup]:
    """Any streams of them."""
    return st.builds(
        StreamGroup,
        name=st.just(name),
        streams=st.integers(1, 100_000),
        algorithms=st.lists(st.sampled_from(sorted(ROUND.algorithms)), min_size=1, max_size=4).map(tuple),
        fps=st.floats(0.1, 25),
        resolution=st.sampled_from(["1080p", "720p", "360p"]),
        key_frames=st.booleans(),
        priority=st.integers(0, 100),
        mbit=st.none() | st.floats(0.1, 20),
    )


asked = st.builds(
    PlanAsked,
    groups=st.builds(lambda *given: given, groups("a"), groups("b")) | groups().map(lambda one: (one,)),
    latency_ms=st.floats(1, 5000),
    machine=st.builds(
        MachineKind,
        cores=st.integers(1, 128),
        memory_gb=st.floats(0.1, 500),
        network_mbit=st.floats(10, 10_000),
        most_load=st.floats(0.05, 0.95),
    ),
    streams_per_host=st.integers(1, 256),
)
