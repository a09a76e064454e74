"""The planner: a plan made by hand, and laws that hold at any price."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.capacity.costs import Costs
from aihub.capacity.load import load_of
from aihub.capacity.planner import plan
from aihub.capacity.queueing import mean_wait_ms, most_load, tail_wait_ms
from aihub.errors import ParamsError
from aihub.types.capacity import CapacityPlan, MachineKind, PlanAsked, StreamGroup
from tests.capacity.invented import ROUND, any_costs, asked


def grown(question: PlanAsked, times: int) -> PlanAsked:
    more = tuple(one.model_copy(update={"streams": one.streams * times}) for one in question.groups)
    return question.model_copy(update={"groups": more})


def made(**given: object) -> CapacityPlan:
    return plan(PlanAsked.model_validate(given), ROUND)


def test_a_plan_made_by_hand() -> None:
    found = made(
        groups=[{"streams": 1000, "algorithms": ["people", "cars"], "fps": 2, "source_fps": 10, "mbit": 4, "events_per_day": 10}],
        latency_ms=1000,
        machine={"cores": 10, "memory_gb": 16, "network_mbit": 1000, "most_load": 0.5},
        retention_days=10,
    )  # fmt: skip
    # A second of one stream: 2 for itself, 10 pictures at 2, and 2 frames at 1 to take out, 1 for the box, 10 for the one
    # detector that both share, and 1 + 1 + 2 for the stages: 2 + 20 + 2 * 16 = 54 ms.
    assert found.groups[0].parts == {
        "stream": 2,
        "decode": 20,
        "sample": 2,
        "letterbox": 2,
        "models": 20,
        "stages": 8,
    }
    assert found.cores == pytest.approx(54)
    # Half of ten cores may be busy: 54 / 5 = 10.8 machines. 4000 Mbit/s by 500 are 8. Memory: a host holds 64 streams in
    # 100 + 20 + 640 = 760 MB; 18 of them (13.68 of 14.4 GB) and a nineteenth with 60 streams are 1212 streams a machine.
    assert {need.resource: need.machines for need in found.needs} == {
        "cpu": 11,
        "gpu": 0,
        "memory": 1,
        "network": 8,
    }
    assert (found.machines, found.bottleneck, found.fits) == (11, "cpu", True)
    assert found.load == pytest.approx(54 / 110, abs=1e-4)
    # Picture 2, taking out 1, box 1, detector 10, stages 4. Ten cores half busy: P = 0.49 ** 3.69 = 0.072,
    # W = ln(0.072 / 0.05) * 18 / (10 * 0.51) = 1.29 ms.
    assert found.groups[0].service_ms == 18
    assert found.groups[0].latency_ms == pytest.approx(19.28, abs=0.05)
    # 10,000 events a day of 98 + 2 kB for 10 days.
    assert found.storage.total_gb == pytest.approx(10)


def test_too_few_machines_say_what_to_give_up() -> None:
    found = made(
        groups=[
            {"name": "gates", "streams": 100, "algorithms": ["people"], "fps": 5, "priority": 90},
            {"name": "yards", "streams": 100, "algorithms": ["fire"], "fps": 5, "priority": 10},
        ],
        latency_ms=1000,
        machine={"cores": 1, "memory_gb": 64, "network_mbit": 100_000},
        machines=3,
    )
    assert not found.fits
    assert [step.step for step in found.degrade] == ["fps", "key-frames", "pause"]  # sizes cost nothing here
    last = found.degrade[-1]
    # Of a gate there are left 2 + 25 * 0.5 + 0.5 * 14 = 21.5 ms, of a yard 2 + 12.5 + 0.5 * 23 = 26: 100 gates take
    # 2.15 of the 2.4 cores that may be busy, and 9 yards the rest.
    assert last.groups == {"yards": "91 of 100 paused"}
    assert (last.machines, last.fits) == (3, True)


@pytest.mark.parametrize(
    ("given", "bottleneck"),
    [
        ({"latency_ms": 20}, "latency"),
        ({"fps": 60, "source_fps": 60, "algorithms": ["people", "fire"]}, "one-stream"),
        ({"memory_gb": 0.12}, "memory"),
        ({"network_mbit": 5}, "network"),
    ],
)
def test_what_runs_out_first(given: dict[str, object], bottleneck: str) -> None:
    group = {"streams": 10, "algorithms": ["people", "cars", "fire"]} | {
        name: given[name] for name in ("fps", "source_fps", "algorithms") if name in given
    }
    machine = {name: given[name] for name in ("memory_gb", "network_mbit") if name in given}
    found = made(groups=[group], latency_ms=given.get("latency_ms", 1000), machine=machine)
    assert found.bottleneck == bottleneck
    assert (found.machines is None) == (bottleneck != "network")
    assert found.why


@pytest.mark.parametrize(
    ("group", "field"),
    [
        ({"algorithms": ["people", "absent"]}, "groups[0].algorithms[1]"),
        ({"algorithms": ["people"], "codec": "h265"}, "groups[0].codec"),
    ],
)
def test_what_was_not_measured_is_not_planned(group: dict[str, object], field: str) -> None:
    with pytest.raises(ParamsError) as caught:
        made(groups=[{"streams": 1, **group}])
    assert caught.value.field == field
    assert "aihub bench run costs" in str(caught.value.hint)


def test_two_groups_of_one_name_are_refused() -> None:
    with pytest.raises(ParamsError) as caught:
        made(groups=[{"streams": 1, "algorithms": ["people"]}] * 2)
    assert caught.value.field == "groups"


def test_models_on_a_gpu_need_one() -> None:
    detect = ROUND.pieces["detect"].model_copy(update={"gpu_ms": 10.0})
    costs = ROUND.model_copy(update={"pieces": {**ROUND.pieces, "detect": detect}})
    group = StreamGroup(streams=1000, algorithms=("people",), fps=1)
    without = plan(PlanAsked(groups=(group,)), costs)
    assert (without.machines, without.bottleneck) == (None, "gpu")
    machine = MachineKind(cores=1024, memory_gb=1024, network_mbit=1e6, gpus=2, most_load=0.5)
    found = plan(PlanAsked(groups=(group,), machine=machine), costs)
    assert (found.machines, found.bottleneck, found.gpus) == (
        10,
        "gpu",
        20,
    )  # 10 s of GPU a second, 2 * 0.5 a machine


@given(any_costs(), asked, st.integers(2, 50))
def test_more_streams_never_need_fewer_machines(costs: Costs, question: PlanAsked, times: int) -> None:
    few, many = plan(question, costs), plan(grown(question, times), costs)
    assert (few.machines is None) == (many.machines is None)
    if few.machines is not None and many.machines is not None:
        assert few.machines <= many.machines


@given(any_costs(), asked)
def test_another_group_never_needs_fewer_machines(costs: Costs, question: PlanAsked) -> None:
    alone = plan(question.model_copy(update={"groups": question.groups[:1]}), costs)
    both = plan(question, costs)
    if both.machines is not None:
        assert alone.machines is not None
        assert alone.machines <= both.machines


@given(any_costs(), asked, st.integers(2, 50))
def test_what_is_busy_is_linear_in_the_streams(costs: Costs, question: PlanAsked, times: int) -> None:
    few, many = plan(question, costs), plan(grown(question, times), costs)
    assert many.cores == pytest.approx(times * few.cores, rel=1e-6, abs=1e-3 * times)
    assert many.network_mbit == pytest.approx(times * few.network_mbit, rel=1e-6, abs=1e-3 * times)
    assert many.storage.events_per_day == pytest.approx(times * few.storage.events_per_day)


@given(any_costs(), asked)
def test_sharing_never_costs_more_than_apart(costs: Costs, question: PlanAsked) -> None:
    group = question.groups[0]
    together = load_of(group, costs)
    apart = [load_of(group.model_copy(update={"algorithms": (name,)}), costs) for name in group.algorithms]
    assert together.cores <= sum(one.cores for one in apart) + 1e-9
    assert together.cores >= max(one.cores for one in apart) - 1e-9


@given(any_costs(), asked, st.none() | st.integers(1, 1000))
def test_no_step_costs_more_than_the_one_before(
    costs: Costs, question: PlanAsked, machines: int | None
) -> None:
    found = plan(question.model_copy(update={"machines": machines}), costs)
    cores, count = found.cores, found.machines
    for step in found.degrade:
        assert step.saves_cores >= -1e-3
        assert step.cores <= cores + 1e-3
        if count is not None:
            assert step.machines is not None
            assert step.machines <= count
        cores, count = step.cores, step.machines
    if machines is not None and found.degrade:
        assert [step.fits for step in found.degrade[:-1]] == [False] * (len(found.degrade) - 1)
        assert found.degrade[-1].fits  # streams can always be paused


@given(any_costs(), asked)
def test_the_plan_keeps_its_word(costs: Costs, question: PlanAsked) -> None:
    found = plan(question, costs)
    if found.machines is not None:
        assert found.load <= question.machine.most_load + 1e-4
        assert all(one.latency_ms <= question.latency_ms + 0.02 for one in found.groups)


@given(st.integers(1, 256), st.floats(0.1, 500), st.floats(0.1, 2000), st.floats(0.05, 0.95))
def test_the_load_for_a_delay_is_the_highest(
    cores: int, service: float, latency: float, ceiling: float
) -> None:
    load = most_load(cores, service, latency, ceiling)
    assert 0 <= load <= ceiling
    if load:
        assert service + tail_wait_ms(load, cores, service) <= latency + 1e-6
    if 0 < load < ceiling:
        assert service + tail_wait_ms(min(ceiling, load + 0.01), cores, service) > latency


def test_one_core_waits_as_the_books_say() -> None:
    # M/M/1 at half load: mean wait 10 ms for work of 10 ms; 95 % wait ln(0.5 / 0.05) * 10 / 0.5 = 46 ms.
    assert mean_wait_ms(0.5, 1, 10) == pytest.approx(10)
    assert tail_wait_ms(0.5, 1, 10) == pytest.approx(math.log(10) * 20)
    assert tail_wait_ms(0.04, 1, 10) == 0  # fewer than one in twenty waits at all
