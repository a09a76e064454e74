"""KServe's own gRPC client, unmodified, in an interpreter of its own: `python kserve_client.py HOST:PORT KEY PICTURE`.

It cannot be installed beside the hub (it holds back protobuf and psutil), so it does not run in the tests' process.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest


async def main(address: str, key: str, picture: bytes) -> None:
    """Every call of its protocol v2, raw and typed."""
    headers = (("authorization", f"Bearer {key}"),)
    client = InferenceGRPCClient(address, timeout=20)
    try:
        assert await client.is_server_live() is True
        assert await client.is_server_ready() in (True, False)
        assert await client.is_model_ready("double", headers=headers) is True
        for raw in (True, False):
            floats = InferInput("x", [1, 3], "FP32", *(() if raw else ([1.0, 2.0, 3.0],)))
            if raw:
                floats.set_data_from_numpy(np.array([[1, 2, 3]], np.float32), binary_data=True)
            answer = await client.infer(InferRequest("double", [floats], request_id="q-3"), headers=headers)
            assert answer.id == "q-3"
            assert outputs(answer)["y"].as_numpy().tolist() == [[2, 4, 6]]
        file = InferInput("image", [1], "BYTES")
        file.set_data_from_numpy(np.array([picture], np.object_), binary_data=True)
        asked = InferRequest("thing-detection", [file], parameters={"confidence": "0.5"})  # it knows no float
        answer = await client.infer(asked, headers=headers)
        assert outputs(answer)["boxes"].as_numpy().shape == (1, 4)
        for model, sent, code in (("nothing", headers, "NOT_FOUND"), ("double", (), "UNAUTHENTICATED")):
            try:
                await client.infer(InferRequest(model, [floats]), headers=sent)
            except grpc.RpcError as error:
                assert error.code().name == code  # noqa: PT017 - no pytest in that interpreter
            else:
                raise AssertionError(f"{model} was answered")
    finally:
        await client.close()


def outputs(answer: Any) -> dict[str, Any]:
    return {output.name: output for output in answer.outputs}


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
