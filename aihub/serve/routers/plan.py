"""`/v1/plan`: how many machines, from what was measured on this one."""

from __future__ import annotations

from fastapi import APIRouter

from aihub.capacity.costs import remembered
from aihub.capacity.planner import plan
from aihub.errors import AlgorithmNotFoundError, ParamsError
from aihub.serve.access import TheServices, Watcher
from aihub.serve.grants import granted
from aihub.serve.problems import documented
from aihub.types.capacity import CapacityPlan, PlanAsked

router = APIRouter(prefix="/v1", tags=["streams"], responses=documented())


@router.post("/plan", operation_id="plan", summary="Plan the machines", responses=documented(503))
def make_plan(body: PlanAsked, services: TheServices, caller: Watcher) -> CapacityPlan:
    """How many machines so many streams take, what runs out first, and what to give up where there are too few.

    It is computed from what `aihub bench run costs` measured on the hub's machine, and from nothing else: before that, and
    for what was not measured, there is no answer. `aihub.capacity.queueing` says how delays are estimated.
    """
    for place, group in enumerate(body.groups):
        for number, name in enumerate(group.algorithms):
            try:
                granted(services.registry, caller, name)
            except AlgorithmNotFoundError as error:
                field = f"groups[{place}].algorithms[{number}]"
                raise ParamsError(error.message, hint=error.hint, field=field) from None
    return plan(body, remembered(services.settings.home))
