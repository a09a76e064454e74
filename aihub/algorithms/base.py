"""The contract of a stage: one step of an algorithm, from a frame and what the step before found to a result.

A stage is a drop-in: one file, a `name`, pydantic params, and it registers itself when imported:

    class BrightnessParams(StageParams):
        limit: float = Field(30, ge=0, le=255, description="Mean below which the picture is dark.")

    class Brightness(Stage[BrightnessParams]):
        name = "brightness"

        def process(self, frame, found):
            mean = float(frame.image.mean())
            return Quality(mean < self.params.limit, ..., {"mean": mean})

Stages of equal name, parameters and predecessors exist once per stream, whatever number of algorithms use them.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from aihub.errors import AihubError, ConfigError, NotFoundError
from aihub.types import AnyResult, Frame, Predictor


class StageParams(BaseModel):
    """Base of every stage's parameters: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=StageParams)

_stages: dict[str, type[Stage[Any]]] = {}


class Stage(ABC, Generic[P]):
    """One step. An instance belongs to one stream (or one request) and may keep state between frames.

    Attributes:
        name: what cards call it.
        stateful: whether the result depends on earlier frames; a request for single pictures gets a fresh instance.
        works_by: name of the method that makes the result; other kinds of stage than those that look have their own.
        scope: what a key must be allowed to do to have it run, beyond what every algorithm needs; empty for nothing.
        params_type: the pydantic class of its parameters, read from the type argument.
    """

    name: ClassVar[str]
    stateful: ClassVar[bool] = False
    works_by: ClassVar[str] = "process"
    scope: ClassVar[str] = ""
    params_type: ClassVar[type[StageParams]] = StageParams

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            kinds = [
                kind for kind in get_args(base) if isinstance(kind, type) and issubclass(kind, StageParams)
            ]
            if kinds:
                cls.params_type = kinds[0]
        if "name" in cls.__dict__ and not inspect.isabstract(cls):
            owner = _stages.get(cls.name)
            if owner is not None and owner.__module__ != cls.__module__:
                raise ConfigError(
                    f"stage {cls.name!r} of {cls.__module__} is already owned by {owner.__module__}"
                )
            _stages[cls.name] = cls

    def __init__(self, params: P, predictor: Predictor) -> None:
        self.params = params
        self.predictor = predictor

    @classmethod
    def models(cls, params: P) -> tuple[str, ...]:  # noqa: ARG003 - subclasses look at params
        """Names or roles of the models that this stage needs with these parameters."""
        return ()

    @classmethod
    def unavailable(cls) -> str:
        """Why this stage cannot run in this installation, with what to install; empty when it can. Cheap."""
        return ""

    def begin(self, frame: Frame) -> None:
        """Start slow work for a frame without waiting, so that several models of one frame run at once.

        Called for first stages only, each before any `process` of that frame.
        """

    @abstractmethod
    def process(self, frame: Frame, found: AnyResult | None) -> AnyResult:
        """Look at one frame.

        Args:
            frame: the picture; never written to.
            found: result of the stage before, None for the first.
        """


def stage_type(name: str) -> type[Stage[Any]]:
    """The stage of that name.

    Raises:
        StageNotFoundError: no such stage; suggests the nearest name.
    """
    found = _stages.get(name)
    if found is None:
        raise StageNotFoundError(name, _stages)
    return found


class StageNotFoundError(NotFoundError):
    """No stage of that name."""

    kind = "stage"


class StageError(AihubError):
    """A stage failed in a way nobody foresaw; the message names the stage and the cause."""
