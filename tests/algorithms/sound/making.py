"""Recordings made for tests, and a predictor that hears loudness where models would hear more."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import numpy.typing as npt
import soundfile

from aihub.algorithms.sound.ctc import BLANK_SIGN
from aihub.algorithms.sound.tagging import kinds
from aihub.errors import ModelNotFoundError
from aihub.types import SAMPLE_RATE, Bill, Detections, Frame, Samples, Tensor

TOKENS = ("<blank>", "<|en|>", f"{BLANK_SIGN}hello", f"{BLANK_SIGN}wor", "ld")
METADATA = {
    "lfr_window_size": "7",
    "lfr_window_shift": "6",
    "neg_mean": ",".join(["0"] * 560),
    "inv_stddev": ",".join(["1"] * 560),
    "lang_auto": "0",
    "lang_en": "4",
    "with_itn": "14",
    "tokens": "\n".join(TOKENS),
}


def talk(*parts: tuple[float, bool], rate: int = SAMPLE_RATE) -> Samples:
    """Seconds of tone (True) and of silence (False), one after the other."""
    pieces = []
    for seconds, loud in parts:
        moments = np.arange(round(seconds * rate)) / rate
        pieces.append((0.5 * np.sin(2 * np.pi * 440 * moments) * loud).astype(np.float32))
    return np.concatenate(pieces)


def as_file(
    samples: npt.NDArray[np.float32], rate: int = SAMPLE_RATE, form: str = "WAV", subtype: str | None = None
) -> bytes:
    """A recording as a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def as_pcm(samples: Samples) -> bytes:
    """16-bit little-endian samples."""
    return (samples * 32767).astype("<i2").tobytes()


class LoudEars:
    """Loud is speech; every stretch says `hello world`."""

    def __init__(self, *, missing: Sequence[str] = ()) -> None:
        self.absent = set(missing)
        self.asked: list[str] = []
        self.fails: Exception | None = None

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        raise ModelNotFoundError(model)

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        self.asked.append(source)
        future: Future[dict[str, Tensor]] = Future()
        if self.fails is not None:
            future.set_exception(self.fails)
            return future
        if bill is not None:
            bill.add(model, 0.001)
        future.set_result(getattr(self, "_" + model.replace("-", "_"))(inputs))
        return future

    def _vad(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert inputs["input"].shape == (1, 576)
        loud = float(np.abs(np.asarray(inputs["input"], np.float32)).max() > 0.1)
        return {"output": np.array([[0.05 + 0.9 * loud]], np.float32), "stateN": inputs["state"]}

    def _audio_tag(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        heard = np.asarray(inputs["input_1"], np.float32)
        assert heard.shape == (1, 15600)
        scores = np.zeros((1, len(kinds())), np.float32)
        scores[0, 0] = 0.9 * float(np.abs(heard).max() > 0.1)
        return {"Identity": scores, "Identity_1": np.zeros((96, 64), np.float32)}

    def _kws(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        heard = np.asarray(inputs["samples"], np.float32)
        assert heard.shape[1:] == (16000,)
        scores = np.zeros((len(heard), 4), np.float32)
        scores[:, 1] = 0.98 * (np.abs(heard[:, 6000:10000]).max(axis=1) > 0.1)
        return {"shares": scores}

    def _asr(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logits = np.full((1, 6, len(TOKENS)), -9, np.float32)
        for row, token in enumerate((1, 2, 2, 0, 3, 4)):
            logits[0, row, token] = 9
        return {"logits": logits}

    def _denoise(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Half as loud; what it remembers counts the frames."""
        assert inputs["mix"].shape == (1, 257, 1, 2)
        caches = {f"{name}_out": value + 1 for name, value in inputs.items() if name.endswith("_cache")}
        return {"enh": np.asarray(inputs["mix"], np.float32) * np.float32(0.5), **caches}

    def _speaker(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How much each band moves, which tells drawn voices apart."""
        seen = np.asarray(inputs["feats"], np.float32)
        assert seen.shape[0] == 1
        assert seen.shape[2] == 80
        return {"embs": seen.std(axis=1)}

    def metadata(self, model: str) -> Mapping[str, str]:
        return {"labels": "no,yes,unknown,silence"} if model == "kws" else METADATA

    def missing(self, models: Sequence[str]) -> list[str]:
        return [model for model in models if model in self.absent]
