"""`/v1/scenarios`: bundles of algorithms that belong together."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter

from aihub.algorithms.registry import Registry
from aihub.algorithms.scenarios import Scenario, Scenarios
from aihub.serve.access import Reader, TheServices
from aihub.serve.problems import documented
from aihub.serve.schemas import ScenarioList
from aihub.serve.security import Caller
from aihub.types import Readiness
from aihub.types.answers import Scenario as ScenarioOut

router = APIRouter(prefix="/v1", tags=["algorithms"], responses=documented())


@router.get("/scenarios", operation_id="listScenarios", summary="List the scenarios")
def list_scenarios(services: TheServices, caller: Reader) -> ScenarioList:
    """Bundles of algorithms that one application system needs together, by id."""
    return ScenarioList(items=[_shown(one, caller) for one in _known(services.registry).list()])


@router.get(
    "/scenarios/{scenario_id}",
    operation_id="getScenario",
    summary="One scenario",
    responses=documented(404),
)
def get_scenario(scenario_id: str, services: TheServices, caller: Reader) -> ScenarioOut:
    """Its algorithms with their parameters. Put `tasks` into a stream to have it watched by them."""
    return _shown(_known(services.registry).get(scenario_id), caller)


@lru_cache(maxsize=1)
def _known(registry: Registry) -> Scenarios:
    """Those that come with the hub: their files do not change while it runs, and each asks the registry as it is now."""
    return Scenarios(registry)


def _shown(scenario: Scenario, caller: Caller) -> ScenarioOut:
    """The public face of a scenario: what the caller has no grant for is not in it."""
    card = scenario.card
    ready = Readiness.READY
    return ScenarioOut(
        **card.model_dump(include={"id", "version", "title", "summary", "fps"}),
        gives=list(card.gives),
        tasks=[task for task in scenario.tasks() if caller.may_use(task.algorithm)],
        asks=[
            one.card.id
            for one in scenario.asked()
            if caller.may_use(one.card.id) and one.readiness()[0] is ready
        ],
        missing=[reason for reason in scenario.missing() if caller.may_use(reason.partition(":")[0])],
    )
