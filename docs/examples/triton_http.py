"""The hub as a Triton server over HTTP. Needs `pip install tritonclient[http]`, AIHUB_URL and AIHUB_KEY."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tritonclient.http as triton

PICTURE = (Path(__file__).parent / "parcel.png").read_bytes()
address = urlsplit(os.environ["AIHUB_URL"])
key = {"Authorization": f"Bearer {os.environ['AIHUB_KEY']}"}

with triton.InferenceServerClient(address.netloc, ssl=address.scheme == "https") as client:
    print("ready:", client.is_server_ready(headers=key))
    model = client.get_model_metadata("qr-and-barcode", headers=key)
    print(model["name"], "gives", ", ".join(output["name"] for output in model["outputs"]))

    # A picture is one BYTES element; outputs are columns, and `result` is all of it as JSON.
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([PICTURE], dtype=np.object_))
    wanted = [triton.InferRequestedOutput(name) for name in ("texts", "quads", "result")]
    found = client.infer("qr-and-barcode", [image], outputs=wanted, headers=key, timeout=10_000_000)
    print("code", found.as_numpy("texts")[0].decode(), "at", found.as_numpy("quads")[0].tolist())
    print(json.loads(found.as_numpy("result")[0])["task"])

    try:
        client.infer("no-such-model", [image], headers=key)
    except triton.InferenceServerException as error:
        print("refused:", error.message())
