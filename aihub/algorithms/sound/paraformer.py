"""Speech to text with Paraformer, which finds out how many signs were said and gives all of them in one run.

The graph takes `speech` (1, t, 560) float32 and `speech_lengths` (1,) int32, and gives `logits` (1, n, tokens) and how many of the n
count, `token_num`: the layout in which FunASR and sherpa-onnx publish it. Metadata as of `aihub.algorithms.sound.ctc`, without the
languages: `model_type`, `lfr_window_size`, `lfr_window_shift`, `neg_mean`, `inv_stddev`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aihub.algorithms.hearing import outputs_of
from aihub.algorithms.sound.ctc import AUTO, sound_length, stacked
from aihub.algorithms.sound.mel import F32, kaldi_fbank
from aihub.algorithms.sound.vocabulary import tokens_of
from aihub.errors import DecodeError, ParamsError
from aihub.types import Predictor, Samples, Sound, Tensor, Word

GOES_ON = "@@"
"""Ends a token that is not the end of its word."""
LANGUAGES = ("zh", "en")
"""What the published networks were taught: Mandarin with English words in it."""


def is_paraformer(metadata: Mapping[str, str]) -> bool:
    """Whether a graph says so."""
    return metadata.get("model_type", "").startswith("paraformer")


class ParaformerRecogniser:
    """One network.

    Args:
        predictor: runs it.
        model: its name or role.
        language: `zh`, `en` or `auto`; it makes no difference to the network.

    Raises:
        ParamsError: another language.
        DecodeError: the metadata lacks something; names it.
        WeightsMissingError: its tokens are not here.
    """

    def __init__(self, predictor: Predictor, model: str, language: str) -> None:
        self._predictor, self._model = predictor, model
        code = language.lower().partition("-")[0] or AUTO
        if code not in (AUTO, *LANGUAGES):
            raise ParamsError(
                f"the model does not know the language {language!r}",
                field="language",
                hint=f"known: {', '.join((AUTO, *LANGUAGES))}",
            )
        self.language = "" if code == AUTO else code
        metadata = predictor.metadata(model)
        try:
            self._window, self._shift = int(metadata["lfr_window_size"]), int(metadata["lfr_window_shift"])
            self._mean = np.array(metadata["neg_mean"].split(","), np.float32)
            self._scale = np.array(metadata["inv_stddev"].split(","), np.float32)
        except (KeyError, ValueError) as error:
            raise DecodeError(f"the network's metadata does not say how to feed it: {error}") from error
        self._tokens = tokens_of(predictor, model, metadata)

    def words(self, sound: Sound, samples: Samples, start: float) -> list[Word]:
        """What was said in a stretch. The network tells no times: the signs share the stretch evenly.

        Raises:
            AihubError: the model failed, or the sound's deadline is over.
        """
        features = stacked(kaldi_fbank(samples), self._window, self._shift)
        if not len(features):
            return []
        if features.shape[1] != len(self._mean):
            raise DecodeError(f"{features.shape[1]} features, but the network was told of {len(self._mean)}")
        feeds: dict[str, Tensor] = {
            "speech": ((features + self._mean) * self._scale)[None],
            "speech_lengths": np.array([len(features)], np.int32),
        }
        outputs = outputs_of(self._predictor.run(self._model, feeds, source=sound.source), sound)
        logits = np.asarray(outputs.get("logits", np.zeros(0)), np.float32)
        if logits.ndim != 3 or logits.shape[2] != len(self._tokens):
            raise DecodeError(f"logits of shape {logits.shape} for {len(self._tokens)} tokens")
        count = int(np.asarray(outputs.get("token_num", logits.shape[1])).reshape(-1)[0])
        said = logits[0, : max(count, 0)]
        return spell(said, self._tokens, start, start + sound_length(samples))


def spell(logits: F32, tokens: tuple[str, ...], start: float, end: float) -> list[Word]:
    """One sign a row, joined to words; signs such as `</s>` say something about the speech and are left out.

    Args:
        logits: `(n, tokens)`.
        tokens: the signs; one that ends in `@@` is joined to the next.
        start: of the stretch, seconds.
        end: of the stretch, seconds.
    """
    best = logits.argmax(axis=1).tolist()
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (shares.max(axis=1) / shares.sum(axis=1)).tolist()
    step = (end - start) / max(len(best), 1)
    words: list[Word] = []
    open_word: Word | None = None
    for row, token in enumerate(best):
        sign = tokens[token]
        if sign.startswith("<"):
            continue
        text = sign.removesuffix(GOES_ON)
        begun = open_word or Word("", start + row * step, end, 1.0)
        word = Word(
            begun.text + text,
            begun.start,
            min(start + (row + 1) * step, end),
            min(begun.confidence, sure[row]),
        )
        open_word = word if sign.endswith(GOES_ON) else None
        if open_word is None:
            words.append(word)
    return [*words, open_word] if open_word is not None and open_word.text else words
