"""What ONNX Runtime is told of a card. That it obeys can only be seen where there is one: suite `models`."""

from __future__ import annotations

import pytest

from aihub.engine.backends import backends, provider_options

GIB = 1 << 30


@pytest.mark.parametrize(
    ("name", "precision", "device_bytes", "told", "reason"),
    [
        ("onnxruntime", "f32", GIB, {}, "the CPU has no arena of that kind"),
        ("cuda", "f32", 0, {"arena_extend_strategy": "kSameAsRequested"}, "grows by need: others live there too"),
        (
            "cuda",
            "f32",
            GIB,
            {"arena_extend_strategy": "kSameAsRequested", "gpu_mem_limit": "1073741824"},
            "in bytes, as text",
        ),
        ("tensorrt", "f32", 0, {}, "float32 is its default"),
        ("tensorrt", "f16", 0, {"trt_fp16_enable": "1"}, "its own switch"),
        ("tensorrt", "f32", GIB, {"trt_max_workspace_size": "1073741824"}, "its scratch space is what can be bounded"),
    ],
)  # fmt: skip
def test_what_a_provider_is_told(
    name: str, precision: str, device_bytes: int, told: dict[str, str], reason: str
) -> None:
    assert provider_options(name, precision, device_bytes) == told, reason


def test_the_same_runtimes_are_here_whatever_a_model_may_take_of_a_card() -> None:
    assert {*backends(GIB)} == {*backends()}
    assert backends(GIB) is backends(GIB), "loaded once"
