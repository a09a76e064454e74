"""What OpenAI's clients may write as `model`: the ids of algorithms that listen, and the names their programs have built in."""

from __future__ import annotations

from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import gives, takes_sound
from aihub.algorithms.registry import Registry
from aihub.errors import AlgorithmNotFoundError, InputError, WeightsMissingError
from aihub.serve.grants import granted, granted_list
from aihub.serve.security import Caller
from aihub.types import InputKind, Readiness, Task

SPEECH_TO_TEXT = "speech-to-text"
ALIASES = dict.fromkeys(
    (
        "whisper-1",
        "gpt-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
    ),
    SPEECH_TO_TEXT,
)
"""Name that stock programs send -> our algorithm."""


def listening(registry: Registry, caller: Caller, model: str) -> Algorithm:
    """The algorithm that a caller means by `model`, if it listens.

    Raises:
        AlgorithmNotFoundError: no such, or no grant for it.
        UnsupportedTypeError: it does not take sound.
    """
    wanted = ALIASES.get(model, model)
    try:
        algorithm = granted(registry, caller, wanted)
    except AlgorithmNotFoundError as error:
        error.field = "model"
        raise
    takes_sound(algorithm.card)
    return algorithm


def transcribing(registry: Registry, caller: Caller, model: str) -> Algorithm:
    """The same, if it turns speech to text.

    Raises:
        AlgorithmNotFoundError, UnsupportedTypeError: as of `listening`.
        InputError: it hears other things.
    """
    algorithm = listening(registry, caller, model)
    if gives(algorithm) is not Task.SPEECH_RECOGNITION:
        raise InputError(
            f"{algorithm.card.id} does not write down speech",
            field="model",
            hint="POST /v1/audio/detections runs it; GET /v1/models lists what there is",
        )
    return algorithm


def ready(algorithm: Algorithm) -> None:
    """Refuse what cannot run here.

    Raises:
        WeightsMissingError: says what brings it.
    """
    state, reason = algorithm.readiness()
    if state is not Readiness.READY:
        raise WeightsMissingError(f"{algorithm.card.id} is not ready on this hub", hint=reason)


def models(registry: Registry, caller: Caller, created: int) -> list[dict[str, Any]]:
    """Every algorithm that listens, and every alias of one, as OpenAI lists models; `ready` and `reason` are ours."""
    rows = []
    known = {
        algorithm.card.id: algorithm
        for algorithm in granted_list(registry, caller)
        if InputKind.AUDIO in algorithm.card.input
    }
    names = [*((name, name) for name in known), *ALIASES.items()]
    for name, target in names:
        if target in known:
            state, reason = known[target].readiness()
            rows.append(
                {
                    "id": name,
                    "object": "model",
                    "created": created,
                    "owned_by": "aihub",
                    "ready": state is Readiness.READY,
                    "reason": reason,
                    "algorithm": target,
                }
            )
    return rows


def model(registry: Registry, caller: Caller, name: str, created: int) -> dict[str, Any]:
    """One row of `models`.

    Raises:
        AlgorithmNotFoundError: no such; suggests the nearest.
    """
    rows = {row["id"]: row for row in models(registry, caller, created)}
    if name not in rows:
        raise AlgorithmNotFoundError(name, rows)
    return rows[name]
