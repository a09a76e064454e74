"""What to give up, and in which order: frames, then size, then all but key frames, then whole streams.

Every step is applied to the groups that it makes cheaper, and to no others, so no step ever costs more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aihub.capacity.costs import Costs
from aihub.capacity.load import load_of
from aihub.capacity.sizing import Sized, size
from aihub.errors import ParamsError
from aihub.types.capacity import DegradeStep, PlanAsked, StreamGroup, megapixels

Change = Callable[[StreamGroup], "tuple[StreamGroup, str] | None"]

LOSES = {
    "fps": "things are seen later, and what passes quickly may be missed",
    "sub-stream": "small and distant things are no longer found",
    "key-frames": "frames come only as often as the camera sends whole ones",
    "pause": "these streams are not watched",
}


def degrade(asked: PlanAsked, costs: Costs) -> list[DegradeStep]:
    """The steps in their order, each on top of those before, to the first that fits where machines are given.

    A step that saves nothing is left out. Streams are only paused where the number of machines is given.
    """
    groups, before = list(asked.groups), size(asked, costs)
    steps: list[DegradeStep] = []
    if _fits(asked, before) and asked.machines is not None:
        return steps
    changes: tuple[tuple[str, Change], ...] = (
        ("fps", _fewer_frames),
        ("sub-stream", _sub_stream),
        ("key-frames", _key_frames),
    )
    for name, change in changes:
        told: dict[str, str] = {}
        for place, group in enumerate(groups):
            changed = change(group)
            if changed is not None and _cheaper(changed[0], group, costs):
                groups[place], told[group.name] = changed
        if told:
            after = size(asked, costs, groups)
            steps.append(_step(name, told, before, after, asked))
            before = after
            if asked.machines is not None and _fits(asked, after):
                return steps
    if asked.machines is not None:
        paused, told = _pause(asked, costs, groups)
        if told:
            after = size(asked, costs, paused)
            steps.append(_step("pause", told, before, after, asked))
    return steps


def _fits(asked: PlanAsked, sized: Sized) -> bool:
    return sized.machines is not None and (asked.machines is None or sized.machines <= asked.machines)


def _cheaper(changed: StreamGroup, group: StreamGroup, costs: Costs) -> bool:
    try:
        after = load_of(changed, costs)
    except ParamsError:
        return False  # decoding key frames only was not measured for that codec
    now = load_of(group, costs)
    return after.cores < now.cores and after.service_ms <= now.service_ms and after.memory_mb <= now.memory_mb


def _step(name: str, told: dict[str, str], before: Sized, after: Sized, asked: PlanAsked) -> DegradeStep:
    known = before.machines is not None and after.machines is not None
    return DegradeStep.model_validate({
        "step": name,
        "groups": told,
        "cores": round(after.cores, 4),
        "saves_cores": round(before.cores - after.cores, 4),
        "machines": after.machines,
        "saves_machines": (before.machines or 0) - (after.machines or 0) if known else None,
        "fits": _fits(asked, after),
        "loses": LOSES[name],
    })  # fmt: skip


def _fewer_frames(group: StreamGroup) -> tuple[StreamGroup, str] | None:
    if group.least_fps >= group.fps:
        return None
    return group.model_copy(
        update={"fps": group.least_fps}
    ), f"{group.fps:g} -> {group.least_fps:g} analysed fps"


def _sub_stream(group: StreamGroup) -> tuple[StreamGroup, str] | None:
    if group.sub_stream is None or megapixels(group.sub_stream) >= megapixels(group.resolution):
        return None
    changed = group.model_copy(update={"resolution": group.sub_stream, "sub_stream": None, "mbit": None})
    return changed, f"{group.resolution} -> {group.sub_stream}"


def _key_frames(group: StreamGroup) -> tuple[StreamGroup, str] | None:
    if group.key_frames:
        return None
    rate = min(group.fps, 1.0 / group.key_frame_every_s)
    return group.model_copy(update={"key_frames": True}), f"key frames only, {rate:g} analysed fps"


def _pause(
    asked: PlanAsked, costs: Costs, groups: Sequence[StreamGroup]
) -> tuple[list[StreamGroup], dict[str, str]]:
    """As few streams as possible, the lowest priority first, until the machines suffice."""
    left, told = list(groups), {}
    for group in sorted(groups, key=lambda one: one.priority):
        others = [one for one in left if one.name != group.name]
        if others and not _fits(asked, size(asked, costs, others)):
            left = others
            told[group.name] = f"all {group.streams} paused"
            continue
        kept = _most_that_fit(asked, costs, group, others)
        told[group.name] = f"{group.streams - kept} of {group.streams} paused"
        left = [*others, group.model_copy(update={"streams": kept})] if kept else others
        break
    return left, told


def _most_that_fit(asked: PlanAsked, costs: Costs, group: StreamGroup, others: Sequence[StreamGroup]) -> int:
    low, high = 0, group.streams
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(asked, size(asked, costs, [*others, group.model_copy(update={"streams": middle})])):
            low = middle
        else:
            high = middle - 1
    return low
