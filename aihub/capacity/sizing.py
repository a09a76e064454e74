"""From what the streams cost to machines: each resource says how many it needs, and the most wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aihub.capacity.costs import Costs
from aihub.capacity.load import StreamLoad, load_of
from aihub.capacity.queueing import most_load, tail_wait_ms
from aihub.types.capacity import Need, PlanAsked, StreamGroup

MEMORY_SHARE = 0.9
"""Of a machine's memory that stream hosts may use."""
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, everything settled."""

    cores: int
    gpus: int
    memory_mb: float
    network_mbit: float
    most_load: float


@dataclass(frozen=True, slots=True)
class Sized:
    """How many machines it takes.

    Attributes:
        loads: one stream of each group, in the groups' order.
        needs: what each resource asks for.
        machines: None where no number of them will do.
        stopper: which of "latency", "one-stream", "memory", "gpu" then; else the resource that runs out first.
        why: the same for people.
        cores: that are busy, over all.
        load: busy share of the cores at that number of machines.
    """

    loads: tuple[StreamLoad, ...]
    needs: tuple[Need, ...]
    machines: int | None
    stopper: str
    why: str
    cores: float
    load: float


def machine_of(asked: PlanAsked, costs: Costs) -> Machine:
    """The machine that is asked for, with what is absent as on the one that was measured."""
    kind = asked.machine
    return Machine(
        cores=kind.cores or costs.cores,
        gpus=kind.gpus,
        memory_mb=1e3 * (kind.memory_gb or costs.memory_gb),
        network_mbit=kind.network_mbit,
        most_load=kind.most_load,
    )


def size(asked: PlanAsked, costs: Costs, groups: Sequence[StreamGroup] | None = None) -> Sized:
    """How many machines the groups take (those that are asked about, unless others are given).

    Raises:
        ParamsError: something was not measured; names the field.
    """
    chosen = asked.groups if groups is None else tuple(groups)
    loads = tuple(load_of(group, costs, f"groups[{place}].") for place, group in enumerate(chosen))
    machine = machine_of(asked, costs)
    # The longest frame stands for all: cautious, and more streams never need fewer machines.
    service = max((load.service_ms for load in loads), default=0.0)
    share = most_load(machine.cores, service, asked.latency_ms, machine.most_load)
    streams = [group.streams for group in chosen]
    cores = sum(count * load.cores for count, load in zip(streams, loads, strict=True))
    gpu = sum(count * load.gpu for count, load in zip(streams, loads, strict=True))
    mbit = sum(count * load.mbit for count, load in zip(streams, loads, strict=True))
    held = _held(machine, asked, costs, loads)
    memory = _memory_mb(sum(streams), asked, costs, loads)
    needs = (
        _need("cpu", cores, machine.cores * share, "cores"),
        _need("gpu", gpu, machine.gpus * machine.most_load, "GPUs"),
        Need(resource="memory", total=round(memory / 1e3, 3), a_machine=round(machine.memory_mb * MEMORY_SHARE / 1e3, 3),
             unit="GB", machines=math.ceil(sum(streams) / held) if held else 0),
        _need("network", mbit, machine.network_mbit * machine.most_load, "Mbit/s"),
    )  # fmt: skip
    stopper, why = _impossible(asked, chosen, loads, machine, share, held, gpu)
    if stopper:
        return Sized(loads, needs, None, stopper, why, cores, 0.0)
    machines = max(1, *(need.machines for need in needs))
    shares = {need.resource: need.total / need.a_machine for need in needs if need.a_machine}
    shares["memory"] = sum(streams) / held
    first = max(needs, key=lambda need: shares.get(need.resource, 0.0))
    return Sized(
        loads, needs, machines, first.resource, _said(first), cores, cores / (machines * machine.cores)
    )


def _need(resource: str, total: float, a_machine: float, unit: str) -> Need:
    machines = math.ceil(total / a_machine - _SLACK) if a_machine > 0 else 0
    return Need.model_validate({
        "resource": resource, "total": round(total, 4), "a_machine": round(a_machine, 4), "unit": unit, "machines": machines,
    })  # fmt: skip


def _said(need: Need) -> str:
    return (
        f"{need.resource} runs out first: {need.total:.4g} {need.unit} are needed, and {need.a_machine:.4g} may be "
        "used of each machine"
    )


def _models_mb(costs: Costs, loads: Sequence[StreamLoad]) -> float:
    names = {model for load in loads for model in load.models}
    return sum(costs.memory.models_mb.get(name, 0.0) for name in sorted(names))


def _memory_mb(streams: int, asked: PlanAsked, costs: Costs, loads: Sequence[StreamLoad]) -> float:
    """Of all stream hosts together."""
    hosts = math.ceil(streams / asked.streams_per_host)
    each = max((load.memory_mb for load in loads), default=0.0)
    return hosts * (costs.memory.process_mb + _models_mb(costs, loads)) + streams * each


def _held(machine: Machine, asked: PlanAsked, costs: Costs, loads: Sequence[StreamLoad]) -> int:
    """Streams that the memory of one machine holds, every stream as large as the largest."""
    room = machine.memory_mb * MEMORY_SHARE
    host = costs.memory.process_mb + _models_mb(costs, loads)
    each = max((load.memory_mb for load in loads), default=0.0)
    full = host + asked.streams_per_host * each
    hosts = int(room / full) if full > 0 else 10**9
    rest = room - hosts * full - host
    return hosts * asked.streams_per_host + (
        min(asked.streams_per_host, int(rest / each)) if rest > 0 < each else 0
    )


def _impossible(
    asked: PlanAsked,
    groups: Sequence[StreamGroup],
    loads: Sequence[StreamLoad],
    machine: Machine,
    share: float,
    held: int,
    gpu: float,
) -> tuple[str, str]:
    """What no number of machines mends, and why; empty where nothing is."""
    for group, load in zip(groups, loads, strict=True):
        if load.service_ms > asked.latency_ms:
            return "latency", (
                f"a frame of {group.name} takes {load.service_ms:.0f} ms on an idle machine, and "
                f"{asked.latency_ms:.0f} ms are allowed"
            )
        if load.service_ms * load.fps > 1e3:
            return "one-stream", (
                f"a frame of {group.name} takes {load.service_ms:.0f} ms, and one comes every {1e3 / load.fps:.0f} ms"
            )
    if share < 1e-3:
        return "latency", f"95 % of the frames are done in {asked.latency_ms:.0f} ms on an idle machine only"
    if not held:
        return "memory", f"one stream with its models does not fit into {machine.memory_mb / 1e3:.3g} GB"
    if gpu > 0 and not machine.gpus:
        return "gpu", "the costs were measured with models on a GPU, and the machines have none"
    return "", ""


def latency_ms(load: StreamLoad, sized: Sized, machine: Machine) -> float:
    """95 % of a stream's frames have their results so long after they came, with that number of machines."""
    longest = max(one.service_ms for one in sized.loads)
    return load.service_ms + tail_wait_ms(min(sized.load, 0.999), machine.cores, longest)
