"""The input of algorithms: pictures as files (BYTES) or as pixels (UINT8), turned into frames."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from aihub.errors import InputError, TooLargeError
from aihub.serve.inference import open_pictures
from aihub.serve.oip.messages import BYTES, Tensor
from aihub.serve.payloads import Upload
from aihub.settings import Settings
from aihub.types import Bill, Frame, Image

IMAGE = "image"
PIXEL_FORMAT = "pixel_format"
CONTENT_TYPE = "content_type"
MAX_SIDE = 65_535
"""Pixels a side, as of a JPEG."""
FORMATS = ("BGR", "RGB")
"""Orders of the three channels; the first is meant where nothing is said, as of OpenCV and of this hub's models."""


def check_pictures(tensors: Sequence[Tensor], settings: Settings) -> tuple[Tensor, int]:
    """The one input, if it can be pictures, and how many: `image`, BYTES `[]`, `[n]` or `[n, 1]`, or UINT8 `[H, W, 3]` or `[n, H, W, 3]`.

    Raises:
        InputError: another name, datatype or shape; names the input.
        TooLargeError: too many pictures or pixels.
    """
    if len(tensors) != 1 or tensors[0].name != IMAGE:
        named = next((tensor.name for tensor in tensors if tensor.name != IMAGE), IMAGE)
        raise InputError(f"an algorithm takes one input named {IMAGE!r}", field=named)
    tensor = tensors[0]
    if tensor.datatype == BYTES:
        if len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
            raise InputError(
                f"the shape of {IMAGE!r} must be [n], one file each, but {list(tensor.shape)} came",
                field=IMAGE,
            )
    elif tensor.datatype == "UINT8":
        if len(tensor.shape) not in (3, 4) or tensor.shape[-1] != 3 or 0 in tensor.shape:
            raise InputError(
                f"the shape of {IMAGE!r} must be [height, width, 3] or [n, height, width, 3], but {list(tensor.shape)} came",
                field=IMAGE,
            )
        if max(tensor.shape[-3:]) > MAX_SIDE:
            raise TooLargeError(f"a picture may have {MAX_SIDE:,} pixels a side at most", field=IMAGE)
        if tensor.data.size // 3 > settings.max_image_pixels:
            raise TooLargeError(f"{IMAGE!r} has more than {settings.max_image_pixels:,} pixels", field=IMAGE)
    else:
        raise InputError(
            f"{IMAGE!r} must be BYTES (a file) or UINT8 (pixels), but {tensor.datatype} came", field=IMAGE
        )
    count = tensor.data.size if tensor.datatype == BYTES else 1 if len(tensor.shape) == 3 else tensor.shape[0]
    if not count:
        raise InputError(f"there is no picture in {IMAGE!r}", field=IMAGE)
    if count > settings.max_images:
        raise TooLargeError(f"{count} pictures, at most {settings.max_images} are allowed", field=IMAGE)
    return tensor, count


def frames_of(
    tensor: Tensor, parameters: Mapping[str, Any], settings: Settings, *, source: str, bill: Bill
) -> list[Frame]:
    """Frames of a checked input; files are decoded here.

    Args:
        tensor: see `check_pictures`.
        parameters: of the request; those of the input count first.
        settings: limits of files.
        source: who asks.
        bill: what work on them is put on.

    Raises:
        InputError: a file is no picture, or a parameter is wrong; names it.
        TooLargeError: a file is too large.
    """
    said = {**parameters, **tensor.parameters}
    if tensor.datatype == BYTES:
        return open_pictures(_files(tensor, said.get(CONTENT_TYPE)), settings, source=source, bill=bill)
    order = said.get(PIXEL_FORMAT, FORMATS[0])
    if not isinstance(order, str) or order.upper() not in FORMATS:
        raise InputError(f"{PIXEL_FORMAT} must be BGR or RGB", field=PIXEL_FORMAT)
    began = time.perf_counter()
    pixels: Image = tensor.data
    frames = []
    for picture in pixels[None] if pixels.ndim == 3 else pixels:
        turned = (
            np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
            if order.upper() == "RGB"
            else picture
        )
        frames.append(Frame(turned, source, bill=bill))
    bill.add("decode", time.perf_counter() - began)
    return frames


def _files(tensor: Tensor, content_type: object) -> list[Upload]:
    items: list[bytes] = tensor.data.ravel().tolist()
    names = [IMAGE if len(items) == 1 else f"{IMAGE}[{index}]" for index in range(len(items))]
    if content_type is None:
        return [Upload(item, "", name) for item, name in zip(items, names, strict=True)]
    if content_type != "base64":
        raise InputError(
            f"{CONTENT_TYPE} may be 'base64'; the kind of picture is read from its bytes", field=CONTENT_TYPE
        )
    uploads = []
    for item, name in zip(items, names, strict=True):
        try:
            uploads.append(Upload(base64.b64decode(item, validate=True), "", name))
        except (binascii.Error, ValueError) as error:
            raise InputError(f"{name} is not base64", field=name) from error
    return uploads
