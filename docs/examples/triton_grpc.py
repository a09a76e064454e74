"""The hub as a Triton server over gRPC. Needs `pip install tritonclient[grpc]`, AIHUB_GRPC (host:port) and AIHUB_KEY."""

import asyncio
import os
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

PICTURE = (Path(__file__).parent / "parcel.png").read_bytes()
ADDRESS = os.environ["AIHUB_GRPC"]
KEY = {"authorization": f"Bearer {os.environ['AIHUB_KEY']}"}

image = triton.InferInput("image", [1], "BYTES")
image.set_data_from_numpy(np.array([PICTURE], dtype=np.object_))

with triton.InferenceServerClient(ADDRESS) as client:
    print("ready:", client.is_server_ready(headers=KEY))
    # A gRPC deadline is kept by the hub as well.
    found = client.infer("qr-and-barcode", [image], headers=KEY, client_timeout=10)
    print("code", found.as_numpy("texts")[0].decode(), "at", found.as_numpy("quads")[0].tolist())
    try:
        client.infer("no-such-model", [image], headers=KEY)
    except InferenceServerException as error:
        print("refused:", error.status(), error.message())


async def eight() -> None:
    async with triton_aio.InferenceServerClient(ADDRESS) as client:
        calls = (client.infer("qr-and-barcode", [image], headers=KEY) for _ in range(8))
        print(sum(len(found.as_numpy("texts")) for found in await asyncio.gather(*calls)), "codes")


asyncio.run(eight())
