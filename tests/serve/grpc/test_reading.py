"""Texts and a series through the gRPC face, by a stock client."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.grpc as triton

from tests.serve.grpc.served import Served
from tests.serve.hub import TestHub
from tests.serve.reading import add_readers


@pytest.fixture
def reading(hub: TestHub, served: Served) -> Served:
    add_readers(hub)
    return served


def test_texts_and_a_series(reading: Served, client: triton.InferenceServerClient) -> None:
    headers = {"authorization": f"Bearer {reading.key}"}
    texts = triton.InferInput("text", [2], "BYTES")
    texts.set_data_from_numpy(np.array([b"a", "幸福路十二号".encode()], np.object_))
    found = client.infer("text-length", [texts], headers=headers)
    assert found.as_numpy("labels").tolist() == [b"short", b"long"]
    values, at = (triton.InferInput(name, [3], "FP64") for name in ("values", "at"))
    values.set_data_from_numpy(np.array([1.0, 9.0, 2.0]))
    at.set_data_from_numpy(np.array([0.0, 60.0, 120.0]))
    found = client.infer("highest-value", [values, at], headers=headers)
    assert (found.as_numpy("at").tolist(), found.as_numpy("values").tolist()) == ([60.0], [9.0])
