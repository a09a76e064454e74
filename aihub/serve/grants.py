"""What a caller may name. What its tenant has no grant for answers exactly as what does not exist, suggestions included."""

from __future__ import annotations

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.registry import Registry
from aihub.errors import AlgorithmNotFoundError, ModelNotFoundError
from aihub.serve.security import Caller
from aihub.serve.services import Services

FACES = "face-embed"
"""Role of models that make templates of faces."""


def granted(registry: Registry, caller: Caller, algorithm_id: str) -> Algorithm:
    """The algorithm of that id, for this caller.

    Raises:
        AlgorithmNotFoundError: nobody has that id, or the caller's tenant has no grant for it; the answers are the same.
    """
    if caller.may_use(algorithm_id):
        try:
            return registry.get(algorithm_id)
        except AlgorithmNotFoundError:
            if len(granted_list(registry, caller)) == len(registry.list()):
                raise  # nothing is hidden from this caller, so all that is known may be said
    raise AlgorithmNotFoundError(
        algorithm_id, [algorithm.card.id for algorithm in granted_list(registry, caller)]
    )


def granted_list(registry: Registry, caller: Caller) -> list[Algorithm]:
    """The algorithms that a caller may use, by domain and id."""
    return [algorithm for algorithm in registry.list() if caller.may_use(algorithm.card.id)]


def require_scopes(caller: Caller, algorithm: Algorithm) -> None:
    """Let a caller pass only with the scopes that the stages of an algorithm need, such as `faces`.

    Raises:
        ForbiddenError: names the missing scope.
    """
    for scope in _scopes(algorithm):
        caller.require(scope)


def scopes_of(services: Services, name: str) -> tuple[str, ...]:
    """The scopes that running an algorithm, or a raw model of that name, needs beyond `infer`."""
    try:
        return _scopes(services.registry.get(name))
    except AlgorithmNotFoundError:
        pass
    try:
        card = None if services.engine is None else services.engine.store.resolve(name)
    except ModelNotFoundError:
        return ()
    return ("faces",) if card is not None and FACES in card.roles else ()


def _scopes(algorithm: Algorithm) -> tuple[str, ...]:
    return tuple({kind.scope: None for kind, _ in algorithm.resolve({}).stages if kind.scope})
