"""Speech to text with a network that spells by CTC, as SenseVoice and Paraformer's kin do: one run a stretch of speech.

The graph takes `x` (1, t, 560) float32, `x_length` (1,), `language` (1,) and `text_norm` (1,) int32, and gives `logits`
(1, t', tokens): the layout in which sherpa-onnx publishes SenseVoice. Its metadata says how to feed it: `lfr_window_size`,
`lfr_window_shift`, `neg_mean` and `inv_stddev` (comma-separated), `lang_auto` and `lang_CODE`, `with_itn`, and `tokens`, one a
line, the blank first. Published files keep the tokens apart: they come as a model of their own, see `aihub.algorithms.sound.vocabulary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aihub.algorithms.hearing import outputs_of
from aihub.algorithms.sound.mel import F32, kaldi_fbank
from aihub.algorithms.sound.vocabulary import tokens_of
from aihub.errors import DecodeError, ParamsError
from aihub.types import Predictor, Samples, Sound, Tensor, Word

AUTO = "auto"
FRAME_S = 0.01
BLANK = 0
BLANK_SIGN = "▁"
"""Begins a word in the vocabulary of SentencePiece."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to feed a network: read from its metadata."""

    window: int
    shift: int
    mean: F32
    scale: F32
    languages: Mapping[str, int]
    text_norm: int
    tokens: tuple[str, ...]

    @classmethod
    def of(cls, metadata: Mapping[str, str], tokens: tuple[str, ...]) -> Recipe:
        """From what the graph carries, and the signs it spells with.

        Raises:
            DecodeError: something is missing or no number; names it.
        """
        try:
            languages = {
                key.removeprefix("lang_"): int(text)
                for key, text in metadata.items()
                if key.startswith("lang_")
            }
            return cls(
                int(metadata["lfr_window_size"]),
                int(metadata["lfr_window_shift"]),
                np.array(metadata["neg_mean"].split(","), np.float32),
                np.array(metadata["inv_stddev"].split(","), np.float32),
                languages,
                int(metadata["with_itn"]),
                tokens,
            )
        except (KeyError, ValueError) as error:
            raise DecodeError(f"the network's metadata does not say how to feed it: {error}") from error


class CtcRecogniser:
    """One network in one language.

    Args:
        predictor: runs it.
        model: its name or role.
        language: ISO 639-1 code, or `auto`.
    """

    def __init__(self, predictor: Predictor, model: str, language: str) -> None:
        self._predictor, self._model = predictor, model
        metadata = predictor.metadata(model)
        self._recipe = Recipe.of(metadata, tokens_of(predictor, model, metadata))
        known = self._recipe.languages
        code = language.lower().partition("-")[0] or AUTO
        if code not in known:
            raise ParamsError(
                f"the model does not know the language {language!r}",
                field="language",
                hint=f"known: {', '.join(sorted(known))}",
            )
        self._code = known[code]
        self.language = "" if code == AUTO else code

    def words(self, sound: Sound, samples: Samples, start: float) -> list[Word]:
        """What was said in a stretch; words of one sign each where the language does not part them by blanks.

        Raises:
            AihubError: the model failed, or the sound's deadline is over.
        """
        features = stacked(kaldi_fbank(samples), self._recipe.window, self._recipe.shift)
        if not len(features):
            return []
        if features.shape[1] != len(self._recipe.mean):
            raise DecodeError(
                f"{features.shape[1]} features, but the network was told of {len(self._recipe.mean)}"
            )
        feeds: dict[str, Tensor] = {
            "x": ((features + self._recipe.mean) * self._recipe.scale)[None],
            "x_length": np.array([len(features)], np.int32),
            "language": np.array([self._code], np.int32),
            "text_norm": np.array([self._recipe.text_norm], np.int32),
        }
        outputs = outputs_of(self._predictor.run(self._model, feeds, source=sound.source), sound)
        logits = np.asarray(next(iter(outputs.values())), np.float32)
        if logits.ndim != 3 or logits.shape[2] != len(self._recipe.tokens):
            raise DecodeError(f"logits of shape {logits.shape} for {len(self._recipe.tokens)} tokens")
        step = self._recipe.shift * FRAME_S
        return spell(logits[0], self._recipe.tokens, start, step, end=start + sound_length(samples))


def sound_length(samples: Samples) -> float:
    """Seconds."""
    return len(samples) / 16_000


def stacked(features: F32, window: int, shift: int) -> F32:
    """Low frame rate: rows of `window` frames side by side, one for every `shift`; the first and last frame fill up the ends."""
    if not len(features):
        return np.zeros((0, features.shape[1] * window), np.float32)
    rows = -(-len(features) // shift)
    before = (window - 1) // 2
    at = np.arange(rows)[:, None] * shift + np.arange(window) - before
    return np.asarray(features[np.clip(at, 0, len(features) - 1)].reshape(rows, -1), np.float32)


def spell(logits: F32, tokens: tuple[str, ...], start: float, step: float, *, end: float) -> list[Word]:
    """The likeliest token of every row, repeats and blanks dropped, joined to words.

    Tokens such as `<|zh|>` say something about the speech and are left out.
    """
    best = logits.argmax(axis=1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = shares[np.arange(len(best)), best] / shares.sum(axis=1)
    words: list[Word] = []
    previous = BLANK
    for row, token in enumerate(best.tolist()):
        if token not in (BLANK, previous) and not tokens[token].startswith("<"):
            _add(
                words,
                tokens[token],
                min(start + row * step, end),
                min(start + (row + 1) * step, end),
                float(sure[row]),
            )
        previous = token
    return [word for word in words if word.text]


def _add(words: list[Word], token: str, start: float, end: float, sure: float) -> None:
    text = token.removeprefix(BLANK_SIGN)
    goes_on = words and token == text and text.isascii() and words[-1].text.isascii()
    if goes_on:
        last = words[-1]
        words[-1] = Word(last.text + text, last.start, end, min(last.confidence, sure))
    else:
        words.append(Word(text, start, end, sure))
