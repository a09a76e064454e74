"""The messages of `open_inference.proto`.

They live in a descriptor pool of their own: clients bring files of the same package, and Python's default pool refuses a second
definition of `inference.ModelInferRequest`, so generated code could not be imported beside theirs.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"

POOL = descriptor_pool.DescriptorPool()
"""Holds our file and nothing else."""


def _load() -> Any:
    compiled = resources.files("aihub.serve.grpc").joinpath("open_inference.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        POOL.AddSerializedFile(file.SerializeToString())
    return POOL.FindServiceByName(SERVICE)


DESCRIPTOR = _load()
"""The service: its methods with their requests and answers."""


def message(name: str) -> Any:
    """The class of a message of the protocol, such as `ModelInferRequest`.

    Raises:
        KeyError: there is none of that name.
    """
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))


REQUESTS: dict[str, Any] = {
    method.name: message_factory.GetMessageClass(method.input_type) for method in DESCRIPTOR.methods
}
"""Method -> class of what it takes."""
ANSWERS: dict[str, Any] = {
    method.name: message_factory.GetMessageClass(method.output_type) for method in DESCRIPTOR.methods
}
"""Method -> class of what it gives."""
