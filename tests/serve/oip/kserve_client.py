"""KServe's own client, unmodified, in an interpreter of its own: `python kserve_client.py URL KEY PICTURE`.

It cannot be installed beside the hub (it holds back protobuf and psutil), so it does not run in the tests' process.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig


async def main(url: str, key: str, picture: bytes) -> None:
    """Every call of its protocol v2, once."""
    headers = {"Authorization": f"Bearer {key}"}
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=20)) as client:
        assert await client.is_server_live(url) is True
        assert await client.is_model_ready(url, "double", headers=headers) is True
        assert await client.is_model_ready(url, "gone", headers=headers) is False
        for binary in (False, True):
            floats = InferInput("x", [1, 3], "FP32")
            floats.set_data_from_numpy(np.array([[1, 2, 3]], np.float32), binary_data=binary)
            answer = await ask(client, url, headers, "double", floats, {"binary_data_output": binary})
            assert answer["y"].as_numpy().tolist() == [[2, 4, 6]]
        file = InferInput("image", [1], "BYTES")
        file.set_data_from_numpy(np.array([picture], np.object_), binary_data=True)
        answer = await ask(client, url, headers, "thing-detection", file, {"confidence": 0.5})
        assert answer["boxes"].as_numpy().shape == (1, 4)
        assert list(answer["labels"].data) == ["thing"]
        refused = await asyncio.gather(
            ask(client, url, headers, "nothing", floats, {}), return_exceptions=True
        )
        assert "no model named 'nothing'" in str(refused[0])


async def ask(
    client: Any, url: str, headers: dict[str, str], model: str, given: Any, parameters: dict[str, Any]
) -> dict[str, InferOutput]:
    """Outputs by name; the id has to come back."""
    request = InferRequest(model, [given], request_id="q-3", parameters=parameters)
    answer = await client.infer(url, request, model_name=model, headers=dict(headers))
    assert answer.id == "q-3"
    return {output.name: output for output in answer.outputs}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
