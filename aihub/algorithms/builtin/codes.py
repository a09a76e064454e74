"""QR codes and barcodes, read by zxing-cpp."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.types import AnyResult, Codes, Frame, Predictor

Symbology = Literal[
    "QRCode", "MicroQRCode", "DataMatrix", "Aztec", "PDF417", "MaxiCode", "EAN-13", "EAN-8", "UPC-A", "UPC-E",
    "Code39", "Code93", "Code128", "Codabar", "ITF", "DataBar",
]  # fmt: skip
"""Kinds of code, as they are named in results too."""


class ReadCodesParams(StageParams):
    """Settings of `read-codes`."""

    formats: tuple[str, ...] = Field(
        (),
        description="Kinds of code to look for, such as `QRCode`, `EAN13`, `Code128`; empty looks for all.",
    )
    thorough: bool = Field(
        True,
        description="Also look for codes that are turned, small, or light on dark; three times the work.",
    )


class ReadCodes(Stage[ReadCodesParams]):
    """Read every code of a picture."""

    name = "read-codes"

    def __init__(self, params: ReadCodesParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        import zxingcpp  # optional: algorithms that read no codes work without it

        self._read: Any = zxingcpp.read_barcodes
        self._formats: Any = zxingcpp.barcode_formats_from_str(
            ",".join(params.formats or get_args(Symbology))
        )

    @classmethod
    def unavailable(cls) -> str:
        """Says when zxing-cpp is not installed."""
        if find_spec("zxingcpp") is not None:
            return ""
        return "the package zxing-cpp is not installed: run `pip install 'aihub[vision]'`"

    def process(self, frame: Frame, found: AnyResult | None) -> Codes:  # noqa: ARG002 - a first stage
        """Text, kind and corners of each code."""
        thorough = self.params.thorough
        read = self._read(
            frame.image,
            self._formats,
            try_rotate=thorough,
            try_downscale=thorough,
            try_invert=thorough,
        )
        codes = [code for code in read if code.valid]
        quads = np.array([_corners(code.position) for code in codes], np.float32).reshape(-1, 4, 2)
        limit = np.array([frame.width, frame.height], np.float32)
        return Codes(
            np.clip(quads, 0, limit),
            tuple(code.text for code in codes),
            tuple(format_name(code.format) for code in codes),
        )


def _corners(position: Any) -> list[tuple[float, float]]:
    points = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    return [(float(point.x), float(point.y)) for point in points]


def format_name(format: Any) -> str:  # noqa: A002 - the word of the field
    """Name of a symbology as in `Symbology`: zxing-cpp says `QR Code`, and before version 3 `BarcodeFormat.QRCode`."""
    return str(format).rpartition(".")[2].replace(" ", "")
