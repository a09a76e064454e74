"""Two results side by side: a table with a reason a row, laws, and the command's exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aihub.bench.compare import compare
from aihub.bench.results import Figure, Machine, Result, load, save
from aihub.cli.bench import REGRESSION, app
from aihub.errors import InputError

BEGUN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def machine(pace_ms: float = 8.0, fingerprint: str = "a") -> Machine:
    return Machine(fingerprint=fingerprint, processor="p", cores=2, memory_gb=8, pace_ms=pace_ms)


def result(*figures: Figure, at: int = 0, **over: Any) -> Result:
    values = {"suite": "models", "title": "t", "command": "c", "begun_at": BEGUN + timedelta(hours=at), "seconds": 1.0, "seed": 0,
              "machine": machine(), "figures": figures}  # fmt: skip
    return Result.model_validate(values | over)


def figure(value: float, *, kind: str = "ratio", better: str = "higher", spread: float = 0.02) -> Figure:
    samples = (
        () if kind == "accuracy" else tuple(value * (1 + spread * step) for step in (-1, -0.5, 0, 0.5, 1))
    )
    return Figure.model_validate(
        {"name": "f", "title": "f", "value": value, "kind": kind, "better": better, "samples": samples}
    )


VERDICTS = [
    ("ratio", "higher", 1.0, 0.8, 0.02, "worse", "a fifth slower, turns close together"),
    ("ratio", "lower", 1.0, 1.2, 0.02, "worse", "a fifth dearer"),
    ("ratio", "higher", 1.0, 1.2, 0.02, "better", "a fifth faster"),
    ("ratio", "higher", 1.0, 0.95, 0.01, "same", "within the tolerance, however sure"),
    ("ratio", "higher", 1.0, 0.8, 0.6, "unclear", "turns lie so far apart that a fifth is nothing"),
    ("ratio", "neither", 1.0, 5.0, 0.02, "same", "neither way is better"),
    ("time", "lower", 10.0, 12.0, 0.02, "worse", "absolute, on one machine at one pace"),
    ("accuracy", "higher", 0.50, 0.494, 0, "worse", "more than half a point"),
    ("accuracy", "higher", 0.50, 0.496, 0, "same", "less than half a point"),
    ("accuracy", "lower", 0.10, 0.11, 0, "worse", "an error rate"),
    ("count", "lower", 0.0, 3.0, 0, "worse", "from none to some, without a quotient"),
    ("count", "higher", 40.0, 48.0, 0, "better", "more cameras"),
]


@pytest.mark.parametrize(("kind", "better", "before", "after", "spread", "verdict", "reason"), VERDICTS)
def test_verdicts(
    kind: str, better: str, before: float, after: float, spread: float, verdict: str, reason: str
) -> None:
    first, second = (
        result(figure(value, kind=kind, better=better, spread=spread)) for value in (before, after)
    )
    (change,) = compare(first, second).changes
    assert change.verdict == verdict, reason


def test_absolute_figures_are_compared_by_the_machines_pace() -> None:
    """A machine whose neighbours took a third of it is no regression, and does not hide one."""
    before = result(figure(10.0, kind="time", better="lower"))
    slower = result(figure(13.0, kind="time", better="lower"), machine=machine(8.0 * 1.3))
    assert compare(before, slower).changes[0].verdict == "same"
    hidden = result(figure(10.0, kind="time", better="lower"), machine=machine(8.0 / 1.3))
    assert compare(before, hidden).changes[0].verdict == "worse"
    rate = result(figure(100.0, kind="rate"))
    assert (
        compare(rate, result(figure(77.0, kind="rate"), machine=machine(8.0 * 1.3))).changes[0].verdict
        == "same"
    )


def test_another_machine_compares_only_what_its_pace_cancels_from() -> None:
    first, second = result(figure(10.0, kind="time", better="lower")), result(figure(30.0, kind="time", better="lower"), machine=machine(fingerprint="b"))  # fmt: skip
    told = compare(first, second)
    assert told.changes[0].verdict == "apart"
    assert "different machines" in told.notes[0]
    assert compare(result(figure(1.0)), result(figure(0.7), machine=machine(fingerprint="b"))).regressions


def test_a_figure_that_is_no_longer_measured_is_a_regression() -> None:
    told = compare(result(figure(1.0)), result(skipped={"gpu": "no card"}))
    assert [change.verdict for change in told.regressions] == ["gone"]
    assert any("no card" in note for note in told.notes)
    assert [change.verdict for change in compare(result(), result(figure(1.0))).changes] == ["new"]


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="different suites"):
        compare(result(), result(suite="http"))
    with pytest.raises(InputError, match="different settings: turns"):
        compare(result(settings={"turns": 3}), result(settings={"turns": 5}))


positive = st.floats(0.01, 1e4)


@given(
    positive,
    positive,
    st.sampled_from(["higher", "lower"]),
    st.sampled_from(["ratio", "time", "rate", "accuracy", "count"]),
)
def test_worse_one_way_is_better_the_other_way(a: float, b: float, better: str, kind: str) -> None:
    there = compare(
        result(figure(a, kind=kind, better=better)), result(figure(b, kind=kind, better=better))
    ).changes[0]
    back = compare(
        result(figure(b, kind=kind, better=better)), result(figure(a, kind=kind, better=better))
    ).changes[0]
    assert not (there.verdict == back.verdict and there.verdict in ("worse", "better"))
    assert (there.change > 0) == (back.change < 0)


@given(positive, st.sampled_from(["ratio", "time", "accuracy", "count"]))
def test_the_same_twice_is_the_same(value: float, kind: str) -> None:
    one = result(figure(value, kind=kind))
    assert [change.verdict for change in compare(one, one).changes] == ["same"]


def test_the_command_exits_with_3_on_a_regression_and_0_without(tmp_path: Path) -> None:
    before, after = save(result(figure(1.0)), tmp_path / "a"), save(result(figure(0.8), at=1), tmp_path / "b")
    ran = CliRunner().invoke(app, ["compare", str(before), str(after)])
    assert ran.exit_code == REGRESSION
    assert "worse" in ran.output
    assert "-20.0%" in ran.output
    assert CliRunner().invoke(app, ["compare", str(before), str(before)]).exit_code == 0
    told = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    assert told.exit_code == REGRESSION
    assert json.loads(told.stdout)[0]["changes"][0]["verdict"] == "worse"
    assert CliRunner().invoke(app, ["compare", str(before), str(after), "--tolerance", "0.5"]).exit_code == 0


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    one = result(figure(1.0), settings={"turns": 3}, skipped={"a": "b"})
    assert load(save(one, tmp_path)) == one
    broken = tmp_path / "models-20260101T000000.json"
    broken.write_text('{"suite": 1}')
    with pytest.raises(InputError, match="is no result"):
        load(broken)
    with pytest.raises(InputError, match="there is no"):
        load(tmp_path / "none.json")
