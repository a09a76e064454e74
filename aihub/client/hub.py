"""The client itself: one method a route."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

from aihub import errors
from aihub.client.connection import ATTEMPTS, MAX_WAIT_S, Connection, error_from, unreachable
from aihub.client.inputs import Picture, TaskLike, file_of, given, plain, task_of
from aihub.client.models import AlgorithmInfo, InferAnswer, Key, LiveEvent, Ready, Sink, Stream, StreamResult
from aihub.errors import CapacityError
from aihub.types import Event, EventState, Readiness, Severity, StreamState, result_from_json

LIVE_SILENCE_S = 45.0


class AihubClient:
    """Speaks to one hub. Safe to use from several threads; close it, or use `with`."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str = "",
        *,
        timeout: float = 60.0,
        attempts: int = ATTEMPTS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            url: address of the hub.
            key: API key; empty for `ready()` alone.
            timeout: longest wait for an answer, seconds.
            attempts: how often a call that may be made twice is made at most; 1 never tries again.
            transport: replaces the network, for tests.
        """
        self._hub = Connection(url, key, timeout=timeout, attempts=attempts, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._hub.http.close()

    # Algorithms

    def algorithms(
        self, *, domain: str | None = None, readiness: Readiness | None = None
    ) -> list[AlgorithmInfo]:
        """All algorithms, by domain and id."""
        body = self._hub.json("GET", "/v1/algorithms", params=given(domain=domain, readiness=readiness))
        return [AlgorithmInfo.model_validate(row) for row in body["items"]]

    def algorithm(self, algorithm_id: str) -> AlgorithmInfo:
        """One algorithm.

        Raises:
            AlgorithmNotFoundError: nobody has that id; suggests the nearest.
        """
        return AlgorithmInfo.model_validate(self._hub.json("GET", f"/v1/algorithms/{algorithm_id}"))

    def infer(
        self, algorithm_id: str, images: Picture | Sequence[Picture], params: Mapping[str, Any] | None = None
    ) -> InferAnswer:
        """Run an algorithm on one picture or several.

        Raises:
            InputError: a picture or parameter is wrong (the kind says how, `field` says which).
            AlgorithmNotFoundError: nobody has that id.
            CapacityError: the hub is full, still, after some tries.
        """
        several = isinstance(images, Sequence) and not isinstance(images, bytes | str)
        files = [file_of(image) for image in images] if several else [file_of(images)]  # type: ignore[arg-type,union-attr]
        path = f"/v1/algorithms/{algorithm_id}/infer"
        if len(files) == 1:
            query = {"params": json.dumps(params)} if params else None
            binary = {"Content-Type": "application/octet-stream"}
            body = self._hub.json("POST", path, again=True, content=files[0], params=query, headers=binary)
        else:
            parts = [("image", (f"{i}", data, "application/octet-stream")) for i, data in enumerate(files)]
            body = self._hub.json(
                "POST", path, again=True, files=parts, data={"params": json.dumps(params or {})}
            )
        results = [result_from_json(row) for row in body["results"]]
        return InferAnswer(body["algorithm"], body["version"], results, body["took_ms"])

    # Streams

    def add_stream(self, url: str, tasks: Sequence[TaskLike] = (), **fields: Any) -> Stream:
        """Submit one stream.

        Args:
            url: rtsp:// address; credentials in it are taken out and kept apart.
            tasks: algorithms to watch it with.
            fields: `id`, `name`, `username`, `password`, `transport`, `sampling`, `enabled`, `tenant`.

        Raises:
            ParamsError: `field` says which, for example `tasks[0].params.zone`.
            AlgorithmNotFoundError: a task names one that nobody knows.
            AddressError: the hub must not connect there.
            ConflictError: a stream of that id exists.
        """
        body = {"url": url, "tasks": [task_of(task) for task in tasks], **plain(fields)}
        return Stream.model_validate(self._hub.json("POST", "/v1/streams", json=body))

    def add_streams(self, streams: Sequence[Mapping[str, Any]]) -> list[StreamResult]:
        """Submit many streams, each as the API takes it; a result for each, in order. Nothing is raised for one of them."""
        body = self._hub.json("POST", "/v1/streams", json={"streams": [plain(stream) for stream in streams]})
        return [StreamResult.model_validate(row) for row in body["results"]]

    def streams(self, *, state: StreamState | None = None, page: int = 500) -> Iterator[Stream]:
        """All streams by id, fetched page by page."""
        for row in self._hub.pages("/v1/streams", given(state=state, limit=page)):
            yield Stream.model_validate(row)

    def stream(self, stream_id: str) -> Stream:
        """One stream.

        Raises:
            StreamNotFoundError: no such stream, or not yours.
        """
        return Stream.model_validate(self._hub.json("GET", f"/v1/streams/{stream_id}"))

    def update_stream(
        self, stream_id: str, changes: Mapping[str, Any], *, revision: int | None = None
    ) -> Stream:
        """Change fields of a stream; `{"enabled": False}` pauses it.

        Raises:
            ConflictError: it is no longer at `revision`.
        """
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        return Stream.model_validate(
            self._hub.json("PATCH", f"/v1/streams/{stream_id}", json=plain(changes), headers=headers)
        )

    def delete_stream(self, stream_id: str) -> None:
        """Stop and forget a stream."""
        self._hub.send("DELETE", f"/v1/streams/{stream_id}")

    def stream_snapshot(self, stream_id: str) -> bytes:
        """A picture of now, JPEG.

        Raises:
            StreamError: none came; the message says in what state the stream is.
        """
        return self._hub.send("GET", f"/v1/streams/{stream_id}/snapshot", again=True).content

    # Events

    def events(
        self,
        *,
        stream: str | None = None,
        algorithm: str | None = None,
        state: EventState | None = None,
        severity: Severity | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Events, newest start first, fetched page by page; at most `limit` when given."""
        query = given(
            stream=stream, algorithm=algorithm, state=state, severity=severity, since=since, until=until
        )
        size = 500 if limit is None else max(1, min(limit, 500))
        for count, row in enumerate(self._hub.pages("/v1/events", {**query, "limit": size})):
            if limit is not None and count >= limit:
                return
            yield Event.model_validate(row)

    def event(self, event_id: str) -> Event:
        """One event as it is now."""
        return Event.model_validate(self._hub.json("GET", f"/v1/events/{event_id}"))

    def event_snapshot(self, event_id: str) -> bytes:
        """The evidence of an event, JPEG."""
        return self._hub.send("GET", f"/v1/events/{event_id}/snapshot", again=True).content

    def set_event_state(self, event_id: str, state: EventState | str) -> Event:
        """Acknowledge, dispatch or resolve an event. Doing it again changes nothing.

        Raises:
            ConflictError: it would be a step back.
        """
        body = {"state": str(state)}
        return Event.model_validate(
            self._hub.json("POST", f"/v1/events/{event_id}/state", again=True, json=body)
        )

    def live(
        self,
        *,
        after: int | None = None,
        stream: str | None = None,
        algorithm: str | None = None,
        state: EventState | None = None,
        severity: Severity | None = None,
        reconnect: bool = True,
    ) -> Generator[LiveEvent, None, None]:
        """Steps in the lives of events as they happen, or all after `after`. Comes back after a break and misses nothing
        that happened since the last step it gave.

        Raises:
            AccessError: the key is not valid, or lacks the scope `events`.
            HubUnreachableError: the hub does not answer, and `reconnect` is off.
        """
        query = given(stream=stream, algorithm=algorithm, state=state, severity=severity)
        failures = 0
        while True:
            try:
                for found in self._listen(query, after):
                    failures, after = 0, found.seq
                    yield found
            except (httpx2.TransportError, CapacityError, errors.StorageError) as error:
                if not reconnect:
                    raise unreachable(error) from error
            if not reconnect:
                return
            failures += 1
            time.sleep(min(MAX_WAIT_S, 0.1 * 2.0**failures) * random.uniform(0.5, 1.0))

    def _listen(self, query: Mapping[str, Any], after: int | None) -> Generator[LiveEvent, None, None]:
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        timeout = httpx2.Timeout(self._hub.timeout, read=LIVE_SILENCE_S)
        with self._hub.http.stream(
            "GET", "/v1/events/live", params=query, headers=headers, timeout=timeout
        ) as response:
            if response.status_code >= 400:
                response.read()
                raise error_from(response)
            for message in httpx2.EventSource(response):
                if message.data:
                    yield LiveEvent(int(message.id), Event.model_validate_json(message.data))

    # Sinks

    def add_sink(self, kind: str, params: Mapping[str, Any], **fields: Any) -> Sink:
        """Add a place that events are delivered to.

        Args:
            kind: such as `webhook`.
            params: of the kind; for a webhook `url` and `secret`.
            fields: `id`, `name`, `algorithms`, `severities`, `streams`, `enabled`, `tenant`.
        """
        body = {"kind": kind, "params": dict(params), **plain(fields)}
        return Sink.model_validate(self._hub.json("POST", "/v1/sinks", json=body))

    def sinks(self) -> list[Sink]:
        """All sinks."""
        return [Sink.model_validate(row) for row in self._hub.json("GET", "/v1/sinks")["items"]]

    def sink(self, sink_id: str) -> Sink:
        """One sink."""
        return Sink.model_validate(self._hub.json("GET", f"/v1/sinks/{sink_id}"))

    def delete_sink(self, sink_id: str) -> None:
        """Remove a sink and what waits for it."""
        self._hub.send("DELETE", f"/v1/sinks/{sink_id}")

    def replay_sink(self, sink_id: str) -> int:
        """Try its dead letters again; how many there were."""
        return int(self._hub.json("POST", f"/v1/sinks/{sink_id}/replay")["replayed"])

    # The hub

    def keys(self) -> list[Key]:
        """All API keys; needs the scope `admin`."""
        return [Key.model_validate(row) for row in self._hub.json("GET", "/v1/keys")["items"]]

    def ready(self) -> Ready:
        """Whether the hub can be used, and what is missing. Asked once.

        Raises:
            HubUnreachableError: nobody answers.
        """
        try:
            response = self._hub.http.get("/readyz")
            return Ready.model_validate(response.json())
        except (httpx2.TransportError, ValueError) as error:
            raise unreachable(error) from error

    def metrics(self) -> str:
        """Metrics of all processes in Prometheus text form; needs the scope `metrics`."""
        return self._hub.send("GET", "/metrics", again=True).text
