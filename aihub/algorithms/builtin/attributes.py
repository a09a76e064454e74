"""Stages `attributes` and `having`: what a classifier says of each thing that was found, and only those of which it says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.crops import F32, Looks, answers, ask, cut, worth_most, worth_of
from aihub.errors import DecodeError
from aihub.types import AnyResult, Detections, Frame, Predictor, Tensor

FIRST_LOOKS = 3
"""Looks at a new track: one may be unlucky."""


class Head(StageParams):
    """One output of a classifier."""

    output: str = Field(min_length=1, description="Name of the graph's output.")
    name: str = Field(min_length=1, max_length=64, description="What the attribute is called.")
    labels: tuple[str, ...] = Field(min_length=1, description="Names of its classes, in their order.")


class AttributesParams(StageParams):
    """Which classifier, how it is fed, and how it is read."""

    model: str = Field(min_length=1, description="Name or role of the classifier.")
    port: str = Field("input", min_length=1, description="Name of the graph's input.")
    size: tuple[int, int] = Field(description="Height and width that it takes, pixels.")
    heads: tuple[Head, ...] = Field(min_length=1, description="Its outputs: a share for each class.")
    label_as: str = Field("", max_length=64, description="Attribute that says the label too; empty for none.")
    margin: float = Field(0.0, ge=0, le=1, description="What is added around a box, as a share of its side.")
    certainty: float = Field(0.5, ge=0, le=1, description="Share below which an attribute is left out.")
    least_side: float = Field(24.0, ge=0, le=1000, description="Boxes with a shorter side are not looked at.")
    most: int = Field(16, ge=1, le=64, description="Most looks a frame: the large and sure first.")
    refresh: float = Field(5.0, gt=0, le=3600, description="Seconds until a track is looked at again.")


class Attributes(Stage[AttributesParams]):
    """Writes `attributes` of every row; a mapping without entries where nobody looked or nothing was sure enough.

    A track is looked at on its first frames, then when it is a quarter larger or surer, or after `refresh`; the looks are
    averaged, large and sure ones with more weight.
    """

    name = "attributes"
    stateful = True

    def __init__(self, params: AttributesParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._looks: Looks[tuple[F32, ...]] = Looks(params.refresh, FIRST_LOOKS)

    @classmethod
    def models(cls, params: AttributesParams) -> tuple[str, ...]:
        """The classifier."""
        return (params.model,)

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
            DecodeError: the model has other outputs or other classes.
            AihubError: a run refused or failed.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'attributes' works on detections")
        now, settings = frame.monotonic, self.params
        rows = worth_most(found, settings.most, settings.least_side, self._looks.due(found, now))
        crops = [cut(frame.image, box, settings.size, settings.margin) for box in found.xyxy[rows].tolist()]
        runs = ask(self.predictor, settings.model, settings.port, [crop.pixels for crop in crops], frame)
        shares: list[tuple[F32, ...] | None] = [None] * len(found)
        worth = worth_of(found)
        for row, outputs in zip(rows.tolist(), answers(runs, settings.model), strict=True):
            shares[row] = self._shares(outputs)
        if found.track_id is not None:
            for row in rows.tolist():
                self._add(int(found.track_id[row]), shares[row] or (), float(worth[row]), now)
            shares = [self._looks.get(track) for track in found.track_id.tolist()]
        before = found.attributes or ({},) * len(found)
        labels = [{self.params.label_as: name} if self.params.label_as else {} for name in found.names()]
        both = tuple(
            {**old, **label, **self._named(new)}
            for old, label, new in zip(before, labels, shares, strict=True)
        )
        return dataclasses.replace(found, attributes=both)

    def _add(self, track: int, shares: tuple[F32, ...], worth: float, now: float) -> None:
        known = self._looks.get(track)
        fresh = tuple(share * np.float32(worth) for share in shares)
        both = fresh if known is None else tuple(old + new for old, new in zip(known, fresh, strict=True))
        self._looks.keep(track, both, worth, now)

    def _shares(self, outputs: Mapping[str, Tensor]) -> tuple[F32, ...]:
        """The output of every head, flat."""
        read: list[F32] = []
        for head in self.params.heads:
            shares = outputs.get(head.output)
            if shares is None or shares.size != len(head.labels):
                shapes = {name: value.shape for name, value in outputs.items()}
                raise DecodeError(
                    f"{self.params.model} gave no {len(head.labels)} shares as {head.output!r}, but {shapes}"
                )
            read.append(np.asarray(shares, np.float32).ravel())
        return tuple(read)

    def _named(self, shares: tuple[F32, ...] | None) -> dict[str, str]:
        """Names of the classes that are sure enough; shares may be sums of several looks."""
        named: dict[str, str] = {}
        for head, share in zip(self.params.heads, shares or (), strict=False):
            best, total = int(share.argmax()), float(share.sum())
            if total > 0 and float(share[best]) >= self.params.certainty * total:
                named[head.name] = head.labels[best]
        return named


class HavingParams(StageParams):
    """Which attributes, and which of their values."""

    attributes: tuple[str, ...] = Field(
        min_length=1, description="Names of attributes; one that fits is enough."
    )
    values: tuple[str, ...] = Field((), description="Values that stay; none for all rows, known or not.")


class Having(Stage[HavingParams]):
    """Rows of which an attribute has one of some values; all rows where no values are given."""

    name = "having"

    def process(self, frame: Frame, found: AnyResult | None) -> Detections:  # noqa: ARG002 - looks at `found`
        """See the class.

        Raises:
            StageError: the stage before gave no detections.
        """
        if not isinstance(found, Detections):
            raise StageError("stage 'having' works on detections")
        if not self.params.values:
            return found
        known = found.attributes or ({},) * len(found)
        names, values = self.params.attributes, self.params.values
        keep = [any(str(row.get(name)) in values for name in names) for row in known]
        return found[np.array(keep, np.bool_)]
