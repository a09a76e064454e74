"""`/v1/algorithms`: what the hub can do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.access import Reader, TheServices
from aihub.serve.grants import granted, granted_list
from aihub.serve.problems import documented
from aihub.serve.result_schemas import result_schema
from aihub.serve.schemas import AlgorithmList, BrokenCard
from aihub.types import Readiness
from aihub.types.answers import AlgorithmDetail, AlgorithmInfo, Evidence

router = APIRouter(prefix="/v1", tags=["algorithms"], responses=documented())


@router.get("/algorithms", operation_id="listAlgorithms", summary="List the algorithms")
def list_algorithms(
    services: TheServices,
    caller: Reader,
    domain: str | None = None,
    readiness: Readiness | None = None,
) -> AlgorithmList:
    """Every algorithm that the caller may use, with its readiness, by domain and id."""
    items = [
        AlgorithmInfo(**_described(algorithm))
        for algorithm in granted_list(services.registry, caller)
        if domain in (None, algorithm.card.domain)
    ]
    broken = [BrokenCard(where=error.where, detail=error.message) for error in services.registry.failures]
    return AlgorithmList(
        items=[item for item in items if readiness in (None, item.readiness)],
        broken=broken if caller.admin else [],
    )


@router.get(
    "/algorithms/{algorithm_id}",
    operation_id="getAlgorithm",
    summary="One algorithm",
    responses=documented(404),
)
def get_algorithm(algorithm_id: str, services: TheServices, caller: Reader) -> AlgorithmDetail:
    """What it does, whether it is ready, what parameters it takes, what it gives, what event it raises."""
    algorithm = granted(services.registry, caller, algorithm_id)
    return AlgorithmDetail(**_described(algorithm), result=result_schema(algorithm))


def _described(algorithm: Algorithm) -> dict[str, Any]:
    """The public face of an algorithm."""
    card = algorithm.card
    readiness, reason = algorithm.readiness()
    return {
        **card.model_dump(include={"id", "version", "title", "summary", "domain", "input", "event"}),
        "readiness": readiness,
        "reason": reason,
        "params": algorithm.params_schema(),
        "models": list(algorithm.models()),
        "evidence": [Evidence(media=one.shown, evidence=one.evidence) for one in card.examples],
        "intended_use": card.intended_use,
        "limits": card.limits,
    }
