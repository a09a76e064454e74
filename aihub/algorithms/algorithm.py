"""One algorithm: a card whose stages and parameters are known to fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aihub.algorithms import stages as _stages  # noqa: F401 - importing it registers `detect`, `select`, `filter`
from aihub.algorithms.params import (
    StageSpec,
    params_model,
    resolve_stages,
    schema,
    validate_params,
)
from aihub.errors import AihubError, CardError, ParamsError
from aihub.types import AlgorithmCard, Predictor, Readiness


@dataclass(frozen=True, slots=True)
class ResolvedAlgorithm:
    """An algorithm with its parameters settled.

    Attributes:
        params: every parameter by name, defaults included.
        stages: the type and settings of each stage, in order.
    """

    params: Mapping[str, Any]
    stages: tuple[StageSpec, ...]

    def models(self) -> tuple[str, ...]:
        """Names or roles of the models the stages need, each once."""
        return tuple(dict.fromkeys(name for kind, params in self.stages for name in kind.models(params)))


class Algorithm:
    """What a caller names: a checked card, bound to whatever runs its models.

    Attributes:
        card: as read from disk.
        path: where it was read, None for a card made in memory.
    """

    def __init__(self, card: AlgorithmCard, predictor: Predictor, path: Path | None = None) -> None:
        """Check the card against its stages.

        Raises:
            CardError: an unknown stage or setting, or a default that a stage does not allow; says file and field.
        """
        self.card = card
        self.path = path
        self._predictor = predictor
        try:
            self._model = params_model(card.id, card.params)
            self._defaults = self._settled({})
        except CardError as error:
            raise CardError(error.message, where=self._where, hint=error.hint, field=error.field) from error
        except ParamsError as error:
            field = f"params.{error.field}.default"
            raise CardError(f"{field}: {error.message}", where=self._where, field=field) from error

    @property
    def _where(self) -> str:
        return str(self.path) if self.path else self.card.id

    def resolve(self, params: Mapping[str, Any]) -> ResolvedAlgorithm:
        """Check a caller's parameters and settle every stage.

        Raises:
            ParamsError: unknown, of the wrong type or out of range; `field` names it.
        """
        # Nothing in it can be changed, so one is enough for all who give no parameters: most requests.
        return self._settled(params) if params else self._defaults

    def _settled(self, params: Mapping[str, Any]) -> ResolvedAlgorithm:
        values = validate_params(self._model, self.card.params, params)
        return ResolvedAlgorithm(MappingProxyType(values), resolve_stages(self.card.stages, values))

    def params_schema(self) -> dict[str, Any]:
        """JSON schema of the parameters, with `unit` and `description`."""
        return schema(self._model)

    def models(self) -> tuple[str, ...]:
        """Names or roles of the models it needs with its default parameters."""
        return self._defaults.models()

    def readiness(self) -> tuple[Readiness, str]:
        """Whether it can be used now, and if not, why and what to do. Cheap enough for a listing."""
        for kind, _ in self._defaults.stages:
            if reason := kind.unavailable():
                return Readiness.BROKEN, reason
        try:
            missing = self._predictor.missing(self.models())
        except AihubError as error:
            return Readiness.BROKEN, str(error)
        if missing:
            pulls = " and ".join(f"`aihub models pull {name}`" for name in missing)
            return (
                Readiness.NEEDS_WEIGHTS,
                f"weights of {', '.join(missing)} are not here: run {pulls}, or set AIHUB_MODEL_MIRROR",
            )
        return Readiness.READY, ""

    def __repr__(self) -> str:
        return f"Algorithm({self.card.id!r}, version={self.card.version})"
