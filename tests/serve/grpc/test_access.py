"""Who may call what, and how a refusal is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from aihub.errors import QueueFullError
from aihub.serve.grpc.calls import OPEN, STREAM
from aihub.serve.grpc.door import address_of
from aihub.serve.grpc.schema import REQUESTS, SERVICE
from aihub.storage.records import Tenant
from tests.serve.grpc.served import TIMEOUT_S, Served, call, refused
from tests.serve.hub import encoded, failing

UNARY = sorted(REQUESTS.keys() - {STREAM})
Code = grpc.StatusCode


@pytest.mark.parametrize("method", UNARY)
def test_a_key_is_needed_but_for_health(shared: Served, method: str) -> None:
    if method in OPEN:
        call(shared, method, metadata={})
    else:
        error = refused(shared, method, metadata={})
        assert error.code() is Code.UNAUTHENTICATED
        assert "aihub keys create" in error.details()


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        (lambda key: {"authorization": f"Bearer {key}"}, None),
        (lambda key: {"authorization": f"bearer {key}"}, None),  # as HTTP has it
        (lambda key: {"x-api-key": key}, None),
        (lambda key: {"authorization": f" Bearer {key}"}, None),  # as perf_analyzer sends it
        (lambda key: {"authorization": "Basic eDp5", "x-api-key": key}, None),  # of a proxy before us
        (lambda key: {"authorization": key}, Code.UNAUTHENTICATED),  # no scheme
        (lambda key: {"authorization": f"Bearer {key[:-1]}"}, Code.UNAUTHENTICATED),
        (lambda key: {"authorization": "Bearer"}, Code.UNAUTHENTICATED),
        (lambda key: {"x-api-key": ""}, Code.UNAUTHENTICATED),
        (lambda key: {"x-api-key-bin": key}, Code.UNAUTHENTICATED),
    ],
)
def test_how_a_key_is_sent(
    served: Served, metadata: Callable[[str], dict[str, str | bytes]], code: grpc.StatusCode | None
) -> None:
    given = {
        name: value.encode() if name.endswith("-bin") and isinstance(value, str) else value
        for name, value in metadata(served.key).items()
    }
    if code is None:
        call(served, "ServerMetadata", metadata=given)  # type: ignore[arg-type]
    else:
        assert refused(served, "ServerMetadata", metadata=given).code() is code


@pytest.mark.parametrize(
    ("scopes", "method", "code"),
    [
        (("metrics",), "ServerMetadata", None),  # any key
        (("metrics",), "RepositoryIndex", Code.PERMISSION_DENIED),
        (("streams",), "ModelInfer", Code.PERMISSION_DENIED),
        (("infer",), "RepositoryIndex", None),
        (("infer",), "RepositoryModelLoad", Code.PERMISSION_DENIED),
        (("infer",), "RepositoryModelUnload", Code.PERMISSION_DENIED),
        (("admin",), "RepositoryIndex", None),
    ],
)
def test_what_a_scope_allows(
    served: Served, scopes: tuple[str, ...], method: str, code: grpc.StatusCode | None
) -> None:
    metadata = {"x-api-key": served.hub.key(*scopes)}
    if code is None:
        call(served, method, metadata=metadata)
    else:
        assert refused(served, method, metadata=metadata).code() is code


def test_an_expired_key_is_none(served: Served) -> None:
    key = served.hub.key("infer", expires_at=time.time() - 1)
    assert refused(served, "ServerMetadata", metadata={"x-api-key": key}).code() is Code.UNAUTHENTICATED


def test_what_a_tenant_has_no_grant_for_is_not_there(served: Served) -> None:
    served.hub.repository.add_tenant(Tenant("narrow", algorithms=("double",)))
    metadata = {"x-api-key": served.hub.key("infer", tenant="narrow")}
    index = call(served, "RepositoryIndex", metadata=metadata)
    assert [model.name for model in index.models] == ["double"]
    hidden = REQUESTS["ModelMetadata"](name="thing-detection")
    unknown = REQUESTS["ModelMetadata"](name="thing-detectiom")
    errors = [refused(served, "ModelMetadata", request, metadata=metadata) for request in (hidden, unknown)]
    assert [error.code() for error in errors] == [Code.NOT_FOUND, Code.NOT_FOUND]
    assert errors[0].details().replace("detection", "detectiom") == errors[1].details()


def test_guessing_is_slowed_down(served: Served) -> None:
    def guess(index: int) -> grpc.RpcError:
        return refused(served, "ServerMetadata", metadata={"x-api-key": f"aihub_{index:043d}"})

    errors = [guess(index) for index in range(70)]
    assert errors[0].code() is Code.UNAUTHENTICATED
    assert errors[-1].code() is Code.RESOURCE_EXHAUSTED
    assert dict(errors[-1].trailing_metadata())["retry-after"] == "1"
    call(served, "ServerMetadata")  # a valid key is never refused for the failures of others


def test_not_now_says_when(served: Served) -> None:
    served.hub.predictor.before = failing(QueueFullError("full", retry_after_s=2.5))
    request = REQUESTS["ModelInfer"](model_name="thing-detection")
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(encoded())
    error = refused(served, "ModelInfer", request)
    assert error.code() is Code.RESOURCE_EXHAUSTED
    trailing = dict(error.trailing_metadata())
    assert (trailing["retry-after"], trailing["grpc-retry-pushback-ms"]) == ("3", "2500")
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.domain, info.reason, retry.retry_delay.ToMilliseconds()) == ("aihub", "queue-full", 2500)


def test_a_bug_tells_nothing_of_the_inside(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    served.hub.predictor.before = failing(ZeroDivisionError("the secret of the inside"))
    request = REQUESTS["ModelInfer"](model_name="thing-detection")
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(encoded())
    error = refused(served, "ModelInfer", request)
    assert error.code() is Code.INTERNAL
    assert "secret" not in str(error.details()) + str(error.trailing_metadata())
    assert "secret" in caplog.text


def test_a_stream_needs_a_key_too(served: Served) -> None:
    with grpc.insecure_channel(served.address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        for metadata, code in ([], Code.UNAUTHENTICATED), ([("x-api-key", "nonsense")], Code.UNAUTHENTICATED):
            answers = stream(iter(()), timeout=TIMEOUT_S, metadata=metadata)
            with pytest.raises(grpc.RpcError) as refusal:
                next(answers)
            assert refusal.value.code() is code


def test_a_key_withdrawn_ends_a_stream(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aihub.serve.security.TTL_S", 0.0)
    asked = REQUESTS[STREAM](model_name="double", id="1")
    asked.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1, 2, 3])
    again = threading.Event()

    def requests() -> Iterator[bytes]:
        yield asked.SerializeToString()
        again.wait(TIMEOUT_S)
        yield asked.SerializeToString()

    with grpc.insecure_channel(served.address) as channel:
        stream = channel.stream_stream(f"/{SERVICE}/{STREAM}")
        answers = stream(requests(), timeout=TIMEOUT_S, metadata=[*served.headers.items()])
        assert next(answers)
        for key in served.hub.repository.list_keys():
            served.hub.repository.revoke_key(key.id)
        again.set()
        with pytest.raises(grpc.RpcError) as refusal:
            next(answers)
        assert refusal.value.code() is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:50123", "10.1.2.3"),
        ("ipv6:%5B::1%5D:50123", "::1"),
        ("ipv6:[2001:db8::7]:1", "2001:db8::7"),
        ("unix:/run/x", "unix"),
        ("", ""),
    ],
)
def test_the_address_in_a_peer(peer: str, address: str) -> None:
    assert address_of(peer) == address
