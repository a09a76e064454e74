"""The hub from Python. Needs `pip install aihub`, AIHUB_URL and AIHUB_KEY."""

import os
from pathlib import Path

from aihub.client import AihubClient
from aihub.errors import AihubError, ParamsError
from aihub.types import Codes, Findings, Readiness

PARCEL = Path(__file__).parent / "parcel.png"

with AihubClient(os.environ["AIHUB_URL"], os.environ["AIHUB_KEY"], timeout=60) as hub:
    print("ready:", ", ".join(row.id for row in hub.algorithms(readiness=Readiness.READY)))

    # Results are typed: boxes and corners are NumPy arrays in pixels of the picture.
    findings = hub.infer("qr-and-barcode", PARCEL).results[0]
    assert isinstance(findings, Findings)
    codes = findings.found
    assert isinstance(codes, Codes)
    for text, corners in zip(codes.text, codes.quads.tolist(), strict=True):
        print(f"code {text!r} at {corners[0]}")

    # Several algorithms on one picture; one that fails does not stop the others.
    many = hub.infer_many({"qr-and-barcode": {}, "blurred-picture": {}}, PARCEL)
    for answer in many.answers:
        print(answer.algorithm, "->", answer.error or answer.results[0].to_json())

    # Errors are classes, and name the field.
    try:
        hub.infer("qr-and-barcode", PARCEL, {"colour": "red"})
    except ParamsError as error:
        print(f"refused: {error.field}: {error.message}")

    # A deadline: the hub drops what it has not done by then.
    try:
        print("in time:", hub.infer("qr-and-barcode", PARCEL, timeout_s=10).took_ms, "ms")
    except AihubError as error:
        print(error.code, error)
