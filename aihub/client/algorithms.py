"""Calls about algorithms and pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from aihub.client.calls import Call, call, content, given, many, nothing, one
from aihub.client.inputs import Picture
from aihub.client.models import AlgorithmAnswer, InferAnswer, Json, ManyAnswer
from aihub.client.pictures import sent
from aihub.client.refusals import error_of
from aihub.types import Readiness, result_from_json
from aihub.types.answers import AlgorithmDetail, AlgorithmInfo, Scenario

Params = Mapping[str, Any]
Algorithms = Sequence[str] | Mapping[str, Params]
"""Ids of algorithms, or their parameters by their ids."""


class AlgorithmCalls:
    """What the hub can do, and doing it to pictures.

    Pictures are files, their contents, arrays `(H, W, 3)` uint8 BGR, or http(s) addresses that the hub fetches.
    """

    @call("GET", "/v1/algorithms")
    def algorithms(
        self, *, domain: str | None = None, readiness: Readiness | None = None
    ) -> Call[list[AlgorithmInfo]]:
        """All algorithms that the key may use, by domain and id."""
        return Call(many(AlgorithmInfo), query=given(domain=domain, readiness=readiness))

    @call("GET", "/v1/algorithms/{algorithm_id}")
    def algorithm(self, algorithm_id: str) -> Call[AlgorithmDetail]:
        """One algorithm.

        Raises:
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it; suggests the nearest.
        """
        return Call(one(AlgorithmDetail), ids=(algorithm_id,))

    @call("PUT", "/v1/algorithms/{algorithm_id}")
    def put_algorithm(self, algorithm_id: str, card: str) -> Call[AlgorithmDetail]:
        """Give the hub an algorithm of your own, or another card in the place of one given before; no restart.

        Args:
            algorithm_id: the id that the card has.
            card: YAML.

        Raises:
            InputError: it is no sound card; the message says line or field.
            ConflictError: an algorithm of that id comes with the hub.
        """
        headers = {"Content-Type": "application/yaml"}
        return Call(
            one(AlgorithmDetail),
            ids=(algorithm_id,),
            body=lambda: {"content": card.encode()},
            headers=headers,
        )

    @call("DELETE", "/v1/algorithms/{algorithm_id}")
    def delete_algorithm(self, algorithm_id: str) -> Call[None]:
        """Take an algorithm of your own away.

        Raises:
            AlgorithmNotFoundError: nobody gave one of that id.
            ConflictError: it comes with the hub.
        """
        return Call(nothing, ids=(algorithm_id,))

    @call("GET", "/v1/scenarios")
    def scenarios(self) -> Call[list[Scenario]]:
        """All scenarios: bundles of algorithms that one application system needs together."""
        return Call(many(Scenario))

    @call("GET", "/v1/scenarios/{scenario_id}")
    def scenario(self, scenario_id: str) -> Call[Scenario]:
        """One scenario; put its `tasks` into a stream to have it watched by them.

        Raises:
            ScenarioNotFoundError: nobody has that id; suggests the nearest.
        """
        return Call(one(Scenario), ids=(scenario_id,))

    @call("POST", "/v1/algorithms/{algorithm_id}/infer")
    def infer(
        self,
        algorithm_id: str,
        images: Picture | Sequence[Picture],
        params: Params | None = None,
        *,
        annotate: bool = False,
        timeout_s: float | None = None,
    ) -> Call[InferAnswer]:
        """Run an algorithm on one picture or several.

        Args:
            algorithm_id: of the algorithm.
            images: one, or several.
            params: of the algorithm; its defaults where absent.
            annotate: whether the answer also holds the pictures with the results drawn on them.
            timeout_s: deadline for the hub, seconds; it gives up what it has not done by then.

        Raises:
            InputError: a picture or parameter is wrong (the kind says how, `field` says which).
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it.
            CapacityError: the hub is full, still, after some tries.
            DeadlineError: not done in time.
        """
        asked = {"params": params or None, "annotate": annotate or None}
        return Call(inferred, ids=(algorithm_id,), again=True, timeout_s=timeout_s, **sent(images, asked))

    @call("POST", "/v1/algorithms/{algorithm_id}/infer")
    def infer_columns(
        self,
        algorithm_id: str,
        images: Picture | Sequence[Picture],
        fields: Sequence[str],
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[list[Json]]:
        """The same, with only these columns of each result, such as `["boxes", "labels"]`: less to send and to read.

        Raises:
            InputError: as `infer`, or a column that the results do not have.
        """
        asked = {"params": params or None, "fields": ",".join(fields)}
        return Call(
            lambda response: [dict(row) for row in response.json()["results"]],
            ids=(algorithm_id,),
            again=True,
            timeout_s=timeout_s,
            **sent(images, asked),
        )

    @call("POST", "/v1/algorithms/{algorithm_id}/infer")
    def annotated(
        self,
        algorithm_id: str,
        image: Picture,
        params: Params | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call[bytes]:
        """One picture with the results drawn on it, JPEG.

        Raises:
            InputError: as `infer`.
        """
        asked = {"params": params or None, "annotate": True}
        return Call(
            content,
            ids=(algorithm_id,),
            again=True,
            timeout_s=timeout_s,
            **sent(image, asked, accept="image/jpeg"),
        )

    @call("POST", "/v1/infer")
    def infer_many(
        self,
        algorithms: Algorithms,
        images: Picture | Sequence[Picture],
        *,
        annotate: bool = False,
        timeout_s: float | None = None,
    ) -> Call[ManyAnswer]:
        """Run several algorithms on the same pictures; what they share is done once.

        One that fails has its error in its answer, and the others answer.

        Args:
            algorithms: their ids, or their parameters by id.
            images: one, or several.
            annotate: whether the answers also hold the pictures with the results drawn on them.
            timeout_s: deadline for the hub, seconds.

        Raises:
            AihubError: none of them could be run: the first reason.
        """
        chosen: list[Any] = (
            [{"id": name, "params": dict(params)} for name, params in algorithms.items()]
            if isinstance(algorithms, Mapping)
            else list(algorithms)
        )
        asked = {"algorithms": chosen, "annotate": annotate or None}
        return Call(_inferred_many, again=True, timeout_s=timeout_s, **sent(images, asked))


def inferred(response: httpx2.Response) -> InferAnswer:
    """An answer to one algorithm."""
    body = response.json()
    rows = body["results"]
    results = [result_from_json(row) for row in rows]
    return InferAnswer(body["algorithm"], body["version"], results, body["took_ms"], _drawn(rows))


def _inferred_many(response: httpx2.Response) -> ManyAnswer:
    body = response.json()
    return ManyAnswer([_answer(row) for row in body["answers"]], body["took_ms"])


def _answer(body: Json) -> AlgorithmAnswer:
    rows, problem = body["results"], body.get("error")
    return AlgorithmAnswer(
        body["algorithm"],
        body["version"],
        [result_from_json(row) for row in rows],
        error_of(problem) if problem else None,
        _drawn(rows),
    )


def _drawn(rows: Sequence[Json]) -> list[bytes]:
    return [base64.b64decode(row["annotated"]) for row in rows if row.get("annotated")]
