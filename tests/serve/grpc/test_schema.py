"""Our description of the protocol against the one that clients carry."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2, service_pb2

from aihub.serve.grpc import schema

protos = runpy.run_path(str(Path(__file__).parents[3] / "tools" / "protos.py"))

THEIRS = (service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR)
PARTIAL = {
    "ModelConfig", "ModelInstanceGroup", "ModelInput", "ModelOutput",
}  # fmt: skip
"""Messages of which we describe a part only: the configuration."""


def file_of(descriptor: Any) -> descriptor_pb2.FileDescriptorProto:
    copied = descriptor_pb2.FileDescriptorProto()
    descriptor.CopyToProto(copied)
    return copied


def messages(file: Any, prefix: str = "") -> dict[str, Any]:
    found = {}
    for message in file:
        name = f"{prefix}{message.name}"
        found[name] = message
        found |= messages(message.nested_type, f"{name}.")
    return found


def fields(message: Any) -> dict[str, tuple[Any, ...]]:
    return {
        field.name: (
            field.number,
            field.type,
            field.label,
            field.type_name,
            message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "",
        )
        for field in message.field
    }


OURS = messages(file_of(schema.DESCRIPTOR.file).message_type)
KNOWN = {name: message for file in THEIRS for name, message in messages(file_of(file).message_type).items()}


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_message_is_theirs_field_by_field(name: str) -> None:
    ours, known = fields(OURS[name]), fields(KNOWN[name])
    if name in PARTIAL:
        known = {field: known[field] for field in ours}
    assert ours == known
    assert OURS[name].options.map_entry == KNOWN[name].options.map_entry


def test_no_message_of_the_service_is_missing() -> None:
    assert messages(file_of(service_pb2.DESCRIPTOR).message_type).keys() <= OURS.keys()


def test_every_enumeration_is_theirs() -> None:
    def enumerations(file: Any) -> dict[str, dict[str, int]]:
        outer = {enum.name: {value.name: value.number for value in enum.value} for enum in file.enum_type}
        inner = {
            f"{name}.{enum.name}": {value.name: value.number for value in enum.value}
            for name, message in messages(file.message_type).items()
            for enum in message.enum_type
        }
        return outer | inner

    ours = enumerations(file_of(schema.DESCRIPTOR.file))
    known = enumerations(file_of(model_config_pb2.DESCRIPTOR))
    assert ours
    assert ours == {name: known[name] for name in ours}


def test_every_call_is_theirs() -> None:
    def calls(file: Any) -> dict[str, tuple[Any, ...]]:
        return {
            method.name: (
                method.input_type,
                method.output_type,
                method.client_streaming,
                method.server_streaming,
            )
            for method in file.service[0].method
        }

    assert calls(file_of(schema.DESCRIPTOR.file)) == calls(file_of(service_pb2.DESCRIPTOR))


def test_the_compiled_file_is_of_this_source(tmp_path: Path) -> None:
    out = tmp_path / "again.binpb"
    protos["compile_descriptors"](protos["PROTO"], out)
    again = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    kept = descriptor_pb2.FileDescriptorSet.FromString(protos["PROTO"].with_suffix(".binpb").read_bytes())
    assert again == kept, "run: python tools/protos.py"


def test_both_live_in_one_process() -> None:
    """Of one package and one name; the default pool has theirs, ours is apart."""
    theirs, ours = service_pb2.ModelInferRequest(id="a"), schema.message("ModelInferRequest")
    assert ours is not service_pb2.ModelInferRequest
    assert ours.FromString(theirs.SerializeToString()).id == "a"
