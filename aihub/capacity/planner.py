"""The plan: machines, what runs out first, delay, network, storage, and what to give up where there are too few."""

from __future__ import annotations

from collections import Counter

from aihub.capacity.costs import Costs
from aihub.capacity.degrade import degrade
from aihub.capacity.load import BITS_A_PIXEL
from aihub.capacity.sizing import Sized, latency_ms, machine_of, size
from aihub.errors import ParamsError
from aihub.types.capacity import CapacityPlan, GroupPlan, MeasuredOn, PlanAsked, Storage, megapixels

EVENT_KB = 2.0
"""A row of an event in the database with its indexes, cautiously."""


def plan(asked: PlanAsked, costs: Costs) -> CapacityPlan:
    """Plan.

    Args:
        asked: streams, algorithms, machines, delay.
        costs: what was measured on a machine of the kind.

    Raises:
        ParamsError: two groups have one name, or something was not measured; names the field.
    """
    twice = [name for name, count in Counter(group.name for group in asked.groups).items() if count > 1]
    if twice:
        raise ParamsError(f"two groups are called {twice[0]!r}", field="groups")
    sized, machine = size(asked, costs), machine_of(asked, costs)
    streams = sum(group.streams for group in asked.groups)
    needs = {need.resource: need for need in sized.needs}
    machines = sized.machines
    return CapacityPlan.model_validate({
        "fits": machines is not None and (asked.machines is None or machines <= asked.machines),
        "machines": machines,
        "gpus": (machines or 0) * machine.gpus if needs["gpu"].total > 0 else 0,
        "cores": round(sized.cores, 4),
        "load": round(sized.load, 4),
        "streams_a_machine": round(streams / machines, 2) if machines else 0.0,
        "network_mbit": needs["network"].total,
        "memory_gb": needs["memory"].total,
        "bottleneck": sized.stopper,
        "why": sized.why,
        "needs": list(sized.needs),
        "groups": _groups(asked, costs, sized),
        "storage": _storage(asked, costs),
        "degrade": degrade(asked, costs),
        "assumed": _assumed(asked, costs, sized),
        "measured": MeasuredOn(at=costs.measured_at.isoformat(timespec="seconds"), fingerprint=costs.fingerprint,
                               processor=costs.processor, cores=costs.cores, footage=costs.footage),
    })  # fmt: skip


def _groups(asked: PlanAsked, costs: Costs, sized: Sized) -> list[GroupPlan]:
    machine = machine_of(asked, costs)
    return [
        GroupPlan(
            name=group.name,
            streams=group.streams,
            cores=round(load.cores, 5),
            parts={name: round(ms, 3) for name, ms in load.parts.items()},
            fps=round(load.fps, 3),
            service_ms=round(load.service_ms, 2),
            latency_ms=round(latency_ms(load, sized, machine), 2),
            mbit=round(load.mbit, 3),
        )
        for group, load in zip(asked.groups, sized.loads, strict=True)
    ]


def _storage(asked: PlanAsked, costs: Costs) -> Storage:
    events = sum(group.streams * group.events_per_day for group in asked.groups)
    pictures_kb = sum(
        group.streams * group.events_per_day * costs.snapshot_kb.at(megapixels(group.resolution))
        for group in asked.groups
    )
    pictures, rows = pictures_kb / 1e6, events * EVENT_KB / 1e6
    return Storage(
        events_per_day=round(events, 2),
        snapshots_gb_per_day=round(pictures, 4),
        events_gb_per_day=round(rows, 4),
        total_gb=round((pictures + rows) * asked.retention_days, 3),
    )


def _assumed(asked: PlanAsked, costs: Costs, sized: Sized) -> list[str]:
    said = []
    if any(group.mbit is None for group in asked.groups):
        bits = ", ".join(f"{bits:g} ({codec})" for codec, bits in BITS_A_PIXEL.items())
        said.append(f"network: {bits} bits a pixel; `mbit` says what the cameras really send")
    said.append(f"events: as many a day as given (10 by default), {EVENT_KB:g} kB each beside their picture")
    if asked.machine.cores not in (None, costs.cores):
        said.append(
            f"a core of the {asked.machine.cores}-core machine does as much as one of the {costs.cores} measured"
        )
    if asked.machine.gpus and not any(load.gpu for load in sized.loads):
        said.append("no model was measured on a GPU: nothing is placed on the GPUs")
    said.append("frames come at random; cameras are kinder, so delays are rather shorter")
    if any(group.key_frames for group in asked.groups):
        said.append("a key frame takes as long to decode as any other picture does on average")
    return said
