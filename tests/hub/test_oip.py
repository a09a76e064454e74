"""The stock client against the whole hub, behind its ingress."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.hub.conftest import Hub
from tests.serve.hub import encoded

triton = pytest.importorskip("tritonclient.http", reason="the stock client is not installed")

pytestmark = pytest.mark.hub


def test_the_stock_client_through_the_ingress(hub: Hub) -> None:
    key = {"Authorization": f"Bearer {(hub.home / 'admin.key').read_text().strip()}"}
    with triton.InferenceServerClient(hub.url.removeprefix("http://")) as stock:
        assert stock.is_server_live()
        assert stock.is_server_ready()
        assert stock.is_model_ready("qr-and-barcode", headers=dict(key))
        files = np.empty(2, np.object_)
        files[:] = [encoded("png", 320, 240), encoded("jpg", 640, 480)]
        image = triton.InferInput("image", [2], "BYTES").set_data_from_numpy(files)
        for packed in (None, "gzip"):
            result = stock.infer(
                "qr-and-barcode",
                [image],
                headers=dict(key),
                request_id="q",
                response_compression_algorithm=packed,
            )
            assert result.get_response()["id"] == "q"
            assert result.as_numpy("counts").tolist() == [0, 0]
        pixels = triton.InferInput("image", [720, 1280, 3], "UINT8")
        pixels.set_data_from_numpy(np.zeros((720, 1280, 3), np.uint8))
        result = stock.infer("black-screen", [pixels], headers=dict(key))
        assert result.as_numpy("fault").tolist() == [True]
        said: dict[str, Any] = json.loads(result.as_numpy("result")[0])
        assert said["found"]["fault"] is True
        names = [row["name"] for row in stock.get_model_repository_index(headers=dict(key))]
        assert {"yunet-640", "black-screen"} <= set(names)
