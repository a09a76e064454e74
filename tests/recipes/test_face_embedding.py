"""The recipe of the face embedding: dlib's file is read as it is written, and the graph computes what dlib's layers do."""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime import InferenceSession

from aihub.plugins import data_folder
from aihub.types import ModelCard, load_card
from models.recipes import face_embedding
from models.recipes.dlib_file import DlibFileError, layers

FOLDER = data_folder("models") / "face-embedding"


def number(value: int) -> bytes:
    """A whole number as dlib packs it."""
    size = max((abs(value).bit_length() + 7) // 8, 1)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def tensor(values: np.ndarray, *sides: int) -> bytes:
    return b"".join(map(number, (2, *sides))) + values.astype("<f4").tobytes()


def name(text: bytes) -> bytes:
    return number(len(text)) + text


def con(weights: np.ndarray, bias: np.ndarray, step: int, margin: int) -> bytes:
    learned = np.concatenate([weights.ravel(), bias])
    filters, _, rows, columns = weights.shape
    settings = (filters, rows, columns, step, step, margin, margin)
    return name(b"con_4") + tensor(learned, learned.size, 1, 1, 1) + b"".join(map(number, settings))


def affine(gamma: np.ndarray, beta: np.ndarray) -> bytes:
    return name(b"affine_") + tensor(np.concatenate([gamma, beta]), 2 * gamma.size, 1, 1, 1)


@lru_cache(maxsize=1)
def network() -> bytes:
    """A whole file of the form of dlib's network, with weights drawn by chance."""
    rng = np.random.default_rng(1)
    parts = [b"\x01\x01\x01\x0dloss_metric_2"]

    def convolution(channels: int, filters: int, size: int, step: int, margin: int) -> None:
        scale = 1 / np.sqrt(channels * size * size)
        weights = rng.normal(0, scale, (filters, channels, size, size))
        parts.append(con(weights, rng.normal(0, 0.1, filters), step, margin))
        parts.append(affine(rng.uniform(0.5, 1.5, filters), rng.normal(0, 0.1, filters)))

    convolution(3, 32, 7, 2, 0)
    channels = 32
    for filters, blocks, halves in face_embedding.GROUPS:
        for index in range(blocks):
            down = halves and index == 0
            convolution(channels, filters, 3, 2 if down else 1, 0 if down else 1)
            convolution(filters, filters, 3, 1, 1)
            channels = filters
    last = rng.normal(0, 0.1, (256, 128))
    parts.append(name(b"fc_2") + number(128) + number(256) + tensor(last, 256, 128, 1, 1))
    return b"".join(parts)


def test_layers_come_as_they_were_written() -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
    data = b"noise" + con(weights, bias, 2, 0) + b"\x00" * 9 + affine(np.ones(4), np.zeros(4)) + b"end"
    first, second = layers(data)
    assert (first.name, first.settings) == ("con_4", (4, 3, 3, 2, 2, 0, 0))
    np.testing.assert_array_equal(first.weights[:-4].reshape(4, 3, 3, 3), weights.astype(np.float32))
    assert (second.name, second.weights.tolist()) == ("affine_", [1, 1, 1, 1, 0, 0, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 200))
def test_damaged_files_are_refused_or_read_but_nothing_else(noise: bytes, cut: int) -> None:
    whole = con(np.ones((2, 1, 1, 1)), np.zeros(2), 1, 0) + noise + name(b"fc_2") + noise
    try:
        list(layers(whole[:cut]))
    except DlibFileError:
        return


def dlib(chip: np.ndarray, data: bytes) -> np.ndarray:
    """The network computed layer by layer as dlib does it, with nothing folded and nothing rounded."""
    learned = iter(list(layers(data)))

    def convolution(x: np.ndarray) -> np.ndarray:
        con, factor = next(learned), next(learned)
        filters, rows, columns, step, _, margin, _ = con.settings
        w, b = (
            con.weights[:-filters].reshape(filters, -1, rows, columns).astype(float),
            con.weights[-filters:],
        )
        x = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), (1, 2))[:, ::step, ::step]
        made = np.tensordot(w, windows, ((1, 2, 3), (0, 3, 4))) + b[:, None, None]
        gamma, beta = factor.weights[:filters], factor.weights[filters:]
        return made * gamma[:, None, None] + beta[:, None, None]

    def added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`add_prev`: what one of them has not counts as nothing."""
        shape = tuple(max(sides) for sides in zip(a.shape, b.shape, strict=True))
        total = np.zeros(shape)
        for part in (a, b):
            total[tuple(slice(side) for side in part.shape)] += part
        return total

    x = (chip.transpose(2, 0, 1) - np.array(face_embedding.MEAN_RGB)[:, None, None]) / 256
    x = np.maximum(convolution(x), 0)
    x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max(axis=(3, 4))
    for _, blocks, halves in face_embedding.GROUPS:
        for index in range(blocks):
            short = x
            if halves and index == 0:
                windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (1, 2))[:, ::2, ::2]
                short = windows.mean(axis=(3, 4))
            x = np.maximum(added(convolution(np.maximum(convolution(x), 0)), short), 0)
    last = next(learned)
    return x.mean(axis=(1, 2)) @ last.weights.reshape(256, 128)


def test_the_graph_computes_what_dlib_does() -> None:
    data = network()
    chip = np.random.default_rng(3).integers(0, 256, (150, 150, 3), np.uint8)
    expected = dlib(chip, data)
    (exact,) = InferenceSession(face_embedding.convert(data, exact=True).SerializeToString()).run(
        None, {"chips": chip[None]}
    )
    np.testing.assert_allclose(exact[0], expected, atol=1e-3 * np.abs(expected).max())
    (rounded,) = InferenceSession(face_embedding.convert(data).SerializeToString()).run(
        None, {"chips": chip[None]}
    )
    np.testing.assert_allclose(rounded[0], expected, atol=1e-2 * np.abs(expected).max())


def test_the_same_file_gives_the_same_bytes() -> None:
    data = network()
    made = [face_embedding.convert(data).SerializeToString(deterministic=True) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("cut", [0.2, 0.9, 0.999])
def test_a_file_that_ends_early_is_refused(cut: float) -> None:
    data = network()
    with pytest.raises(DlibFileError):
        face_embedding.convert(data[: int(cut * len(data))])


def test_what_is_shipped_is_what_the_card_says_and_small() -> None:
    card = load_card(FOLDER / "face-embedding.yaml", ModelCard)
    data = (FOLDER / "face-embedding.onnx").read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (card.artifact.bytes, card.artifact.sha256)
    assert len(data) < 12_000_000
    notes = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    assert notes == face_embedding.NOTES
    assert struct.pack("<f", float(notes["distance"]))
