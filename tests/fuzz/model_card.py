"""Model cards: YAML to a card."""

from __future__ import annotations

import json

from aihub.types import ModelCard, load_card
from tests.fuzz.files import on_disk
from tests.fuzz.law import read_or_refused

LONGEST = 2048
WORDS = (
    b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!int ", b"!!set ", b"!!omap ", b"!!timestamp ", b"2001-02-30", b".nan", b".inf", b"0b", b"1:60", b"? ",
    b"size: [640, 640]", b"mean: [0, 0, 0]", b"input: {name: x, size: [1, 1]}", b"decoder_params: {", b"sha256: ", b"trust: first-use", b"max_bytes: 9", b"upgrade: ", b"rank: ", b"\xc2\x85", b"\xff\xfe",
)  # fmt: skip
SOUND = """\
name: kws-ds-cnn-12
task: object-detection
summary: >-
  Ten spoken commands.
roles: [kws]
rank: 10
labels: [a, b]
artifact:
  uri: mirror:models/a.onnx
  mirror: models/a.onnx
  sha256: 6b0775e9244467c0e8210529d88f685ae665fe2094fe822f18591665a8bf575c
  bytes: 48827
  license: Apache-2.0
input: {name: x, size: [640, 640], mean: [0, 0, 0], std: [1, 1, 1.5]}
decoder: yolox
decoder_params: {strides: [8, 16, 32]}
"""


def check(data: bytes) -> bool:
    """A card that JSON can carry, or a refusal that names the file."""
    path = on_disk(data)
    card = read_or_refused(lambda: load_card(path, ModelCard), named=False)
    if card is None:
        return False
    json.dumps(card.model_dump(mode="json"), allow_nan=False)
    return True


def seeds() -> list[bytes]:
    """A card with everything in it."""
    return [SOUND.encode()]
