"""Calls about texts and series of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aihub.client.algorithms import Params, inferred
from aihub.client.calls import Call, call
from aihub.client.models import InferAnswer, Json
from aihub.errors import InputError
from aihub.types import Series

SeriesLike = Series | Mapping[str, Any] | Sequence[float | None] | npt.NDArray[np.floating[Any]]
"""A series with its times, as the API takes it (`values` with `start` and `step_s`, or `at`), or values that follow each other by a second."""


class ReadingCalls:
    """Algorithms that read texts and study series."""

    @call("POST", "/v1/algorithms/{algorithm_id}/infer")
    def read(
        self,
        algorithm_id: str,
        texts: str | Sequence[str],
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[InferAnswer]:
        """Run an algorithm on one text or several.

        Args:
            algorithm_id: of the algorithm.
            texts: one, or several; results in their order.
            params: of the algorithm; its defaults where absent.
            timeout_s: deadline for the hub, seconds.

        Raises:
            InputError: a text or parameter is wrong; `field` says which.
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it.
            UnsupportedTypeError: it takes no texts.
            CapacityError: the hub is full, still, after some tries.
            DeadlineError: not done in time.
        """
        listed = [texts] if isinstance(texts, str) else [*texts]
        if not listed:
            raise InputError("there is no text to read", field="texts")
        return _asked(algorithm_id, {"texts": listed}, params, timeout_s)

    @call("POST", "/v1/algorithms/{algorithm_id}/infer")
    def study(
        self,
        algorithm_id: str,
        series: SeriesLike | Sequence[SeriesLike],
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[InferAnswer]:
        """Run an algorithm on one series or several.

        Args:
            algorithm_id: of the algorithm.
            series: one, or several; NaN or None where nothing was measured.
            params: of the algorithm; its defaults where absent.
            timeout_s: deadline for the hub, seconds.

        Raises:
            InputError: a series or parameter is wrong; `field` says which.
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it.
            UnsupportedTypeError: it takes no series.
            CapacityError: the hub is full, still, after some tries.
            DeadlineError: not done in time.
        """
        given: Any = series
        listed: list[Any] = [given] if _is_one(given) else list(given)
        if not listed:
            raise InputError("there is no series to study", field="series")
        sent = [_sent(one, f"series[{index}]") for index, one in enumerate(listed)]
        return _asked(algorithm_id, {"series": sent}, params, timeout_s)


def _asked(
    algorithm_id: str, body: Json, params: Params | None, timeout_s: float | None
) -> Call[InferAnswer]:
    if params:
        body["params"] = dict(params)
    return Call(inferred, ids=(algorithm_id,), json=body, again=True, timeout_s=timeout_s)


def _is_one(series: Any) -> bool:
    if isinstance(series, Series | Mapping):
        return True
    if isinstance(series, np.ndarray):
        return series.ndim == 1
    return bool(len(series)) and all(
        one is None or isinstance(one, int | float | np.number) for one in series
    )


def _sent(series: Any, field: str) -> Json:
    if isinstance(series, Series):
        return {"values": _plain(series.values.tolist()), "at": series.at.tolist()}
    if isinstance(series, Mapping):
        values = series.get("values")
        return {**series, "values": values if values is None else _values(values, field)}
    return {"values": _values(series, field)}


def _values(values: Any, field: str) -> list[float | None]:
    try:
        return _plain([None if value is None else float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise InputError("a series is a list of numbers", field=f"{field}.values") from error


def _plain(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None or math.isnan(value) else value for value in values]
