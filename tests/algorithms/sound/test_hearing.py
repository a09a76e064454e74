"""Algorithms for sound on made recordings, their contract, and the results they give."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aihub.algorithms.hearing import gives, hear
from aihub.algorithms.registry import Registry
from aihub.algorithms.sound import sphinx
from aihub.algorithms.sound.happenings import events, windows
from aihub.algorithms.sound.mel import kaldi_fbank, mel_bands
from aihub.algorithms.sound.tagging import kinds
from aihub.algorithms.sound.transcribe import loud_parts
from aihub.algorithms.sound_contract import check_sounds, unsound_heard
from aihub.errors import DeadlineError, ParamsError, UnsupportedTypeError, WeightsMissingError
from aihub.types import (
    SAMPLE_RATE,
    Bill,
    Frame,
    Segment,
    Sound,
    SoundEvents,
    Task,
    Transcript,
    Word,
    joined,
    result_from_json,
)
from tests.algorithms.sound.making import LoudEars, talk

TWO = talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False))
SPEECH = ("audio-tagging", "keyword-spotting", "speech-to-text", "voice-activity")


@pytest.fixture
def ears() -> LoudEars:
    return LoudEars()


@pytest.fixture
def registry(ears: LoudEars, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(sphinx, "installed", lambda: True)
    return Registry(ears)


def test_all_are_there(registry: Registry) -> None:
    listening = [one.card.id for one in registry.list() if gives(one) is not None]
    assert set(SPEECH) <= set(listening)


@pytest.mark.parametrize("name", SPEECH)
def test_they_keep_the_contract(registry: Registry, ears: LoudEars, name: str) -> None:
    check_sounds(registry.get(name), ears)


def test_speech_is_found_where_it_is(registry: Registry, ears: LoudEars) -> None:
    found = hear(registry.get("voice-activity"), Sound(TWO), {}, ears)
    assert isinstance(found, SoundEvents)
    assert found.label == ("speech", "speech")
    np.testing.assert_allclose(found.start, [0.4, 2.4], atol=0.1)
    np.testing.assert_allclose(found.end, [1.6, 3.6], atol=0.1)


def test_sounds_are_named_for_as_long_as_they_last(registry: Registry, ears: LoudEars) -> None:
    found = hear(registry.get("audio-tagging"), Sound(talk((2.0, True), (3.0, False))), {}, ears)
    assert isinstance(found, SoundEvents)
    assert found.label == ("Speech",)
    assert found.end[0] == pytest.approx(2.5, abs=0.6)
    none = hear(registry.get("audio-tagging"), Sound(TWO), {"labels": ["Dog"]}, ears)
    assert len(none) == 0


def test_words_are_told_as_they_come(registry: Registry, ears: LoudEars) -> None:
    told: list[Segment] = []
    bill = Bill()
    sound = Sound(TWO, heard=told.append, bill=bill, source="tenant/key")
    found = hear(registry.get("speech-to-text"), sound, {}, ears)
    assert isinstance(found, Transcript)
    assert found.text == "hello world hello world"
    assert tuple(told) == found.segments
    assert [word.text for word in found.segments[0].words] == ["hello", "world"]
    assert {"vad", "asr", "transcribe"} <= set(bill.spent)
    assert set(ears.asked) == {"tenant/key"}


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("audio-tagging", {"labels": ["Dragon"]}, "labels"),
        ("keyword-spotting", {"words": ["abracadabra"]}, "words"),
        ("voice-activity", {"threshold": 2}, "threshold"),
        ("speech-to-text", {"language": "tlh"}, "language"),
    ],
)
def test_a_wrong_parameter_is_named(
    registry: Registry, ears: LoudEars, name: str, params: dict[str, object], field: str
) -> None:
    with pytest.raises(ParamsError) as told:
        hear(registry.get(name), Sound(TWO), params, ears)
    assert told.value.field == field


def test_pictures_and_sound_are_not_mixed_up(registry: Registry, ears: LoudEars) -> None:
    with pytest.raises(UnsupportedTypeError, match="not sound"):
        hear(registry.get("person-detection"), Sound(TWO), {}, ears)
    kind, params = registry.get("audio-tagging").resolve({}).stages[0]
    with pytest.raises(UnsupportedTypeError, match="not pictures"):
        kind(params, ears).process(Frame(np.zeros((2, 2, 3), np.uint8)), None)


@pytest.mark.parametrize("name", SPEECH)
def test_nobody_listens_for_ever(registry: Registry, ears: LoudEars, name: str) -> None:
    with pytest.raises(DeadlineError):
        hear(registry.get(name), Sound(TWO), {}, ears, timeout_s=-1)


def test_another_language_needs_a_network(registry: Registry, ears: LoudEars) -> None:
    ears.absent.add("asr")
    with pytest.raises(WeightsMissingError, match="'zh'") as told:
        hear(registry.get("speech-to-text"), Sound(TWO), {"language": "zh"}, ears)
    assert told.value.field == "language"


def test_without_the_package_it_says_what_to_install(ears: LoudEars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sphinx, "installed", lambda: False)
    _, reason = Registry(ears).get("speech-to-text").readiness()
    assert "pip install 'aihub[speech]'" in reason


def test_loudness_alone_finds_speech_too() -> None:
    found = list(loud_parts(Sound(TWO)))
    assert [round(one.start) for one in found] == [0, 2]
    assert list(loud_parts(Sound(np.zeros(SAMPLE_RATE, np.float32)))) == []


# --- results

SEGMENTS = st.builds(
    Segment,
    text=st.text(st.characters(codec="utf-8"), max_size=20),
    start=st.floats(0, 100).map(lambda x: round(x, 3)),
    end=st.floats(100, 200).map(lambda x: round(x, 3)),
    confidence=st.floats(0, 1).map(lambda x: round(x, 4)),
    words=st.just((Word("a", 1.0, 2.0, 0.5),)),
)


@settings(deadline=None)
@given(segments=st.lists(SEGMENTS, max_size=4), language=st.sampled_from(["en", "zh", ""]))
def test_transcripts_survive_the_wire(segments: list[Segment], language: str) -> None:
    sent = Transcript(tuple(segments), language, 200.0).to_json()
    assert result_from_json(json.loads(json.dumps(sent))).to_json() == sent
    assert sent["task"] == Task.SPEECH_RECOGNITION


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 9), st.floats(9, 20), st.floats(0, 1)), max_size=6
    )
)
def test_sound_events_survive_the_wire(rows: list[tuple[str, float, float, float]]) -> None:
    made = SoundEvents.of(rows)
    sent = made.to_json()
    assert result_from_json(json.loads(json.dumps(sent))).to_json() == sent
    assert made.start.tolist() == sorted(made.start.tolist())
    assert unsound_heard(made, 20) == ""


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="score"):
        SoundEvents(("a",), np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="float32"):
        Sound(np.zeros((2, 2), np.float32))


def test_a_part_of_a_sound_knows_where_it_lies() -> None:
    sound = Sound(TWO, start=10.0, source="x")
    part = sound.cut(1.0, 99.0)
    assert (part.start, part.duration, part.source) == (11.0, 3.0, "x")
    assert len(sound.cut(3.0, 2.0).samples) == 0


def test_chinese_is_joined_without_blanks() -> None:
    assert joined(["你好", "世界", "ok", "fine", ""]) == "你好世界 ok fine"


# --- what the stages are made of


@settings(deadline=None)
@given(
    hits=st.lists(st.booleans(), min_size=1, max_size=30),
    threshold=st.floats(0.1, 0.9),
)
def test_neighbours_are_one_event(hits: list[bool], threshold: float) -> None:
    scores = np.array([[1.0 if hit else 0.0] for hit in hits], np.float32)
    spans = [(float(at), float(at + 1)) for at in range(len(hits))]
    found = events(scores, spans, ["x"], threshold, ())
    covered = {at for s, e in zip(found.start, found.end, strict=True) for at in range(int(s), int(e))}
    assert covered == {at for at, hit in enumerate(hits) if hit}
    assert len(found) == sum(hit and not before for before, hit in zip([False, *hits], hits, strict=False))


@settings(deadline=None)
@given(length=st.integers(1, 1000), size=st.integers(1, 300), step=st.integers(1, 300))
def test_windows_cover_the_whole(length: int, size: int, step: int) -> None:
    ramp = np.arange(1, length + 1, dtype=np.float32)
    step = min(step, size)
    seen: set[float] = set()
    for first, part in windows(ramp, size, step):
        assert len(part) == size
        inside = part[: length - first]
        np.testing.assert_array_equal(inside, ramp[first : first + size])
        seen |= set(inside.tolist())
    assert seen == set(ramp.tolist())


def test_bands_are_triangles() -> None:
    bands: npt.NDArray[np.float32] = mel_bands(40, 257, 20.0, 4000.0)
    assert bands.shape == (257, 40)
    assert bands.min() == 0
    assert bands.max() <= 1
    assert not bands[0].any()
    peaks = bands.argmax(axis=0)
    assert (np.diff(peaks) >= 0).all()
    assert not bands[130:].any(), "nothing above 4 kHz"


def test_features_have_the_shape_that_the_network_wants() -> None:
    part = talk((1.0, True))
    assert kaldi_fbank(part).shape == (98, 80)
    assert kaldi_fbank(part[:100]).shape == (0, 80)


def test_there_are_521_kinds() -> None:
    assert len(kinds()) == len(set(kinds())) == 521
    assert (kinds()[0], kinds()[69], kinds()[-1]) == ("Speech", "Dog", "Field recording")


# --- PocketSphinx


@pytest.fixture
def pool() -> Iterator[sphinx.Pool]:
    pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
    made = sphinx.Pool(1)
    yield made
    made.close()


def test_one_recogniser_serves_one_after_the_other(pool: sphinx.Pool) -> None:
    sound = Sound(talk((1.0, True)), bill=Bill())
    noise = np.random.default_rng(1).normal(0, 0.2, SAMPLE_RATE).clip(-1, 1).astype(np.float32)
    before = pool.words(sound, sound.samples, 5.0)
    pool.words(sound, noise, 0.0)
    assert pool.words(sound, sound.samples, 5.0) == before, "nothing is remembered"
    assert sound.bill is not None
    assert sound.bill.spent["pocketsphinx"] > 0
    assert pool.words(sound, sound.samples[:0], 0.0) == []


def test_a_recogniser_that_died_is_replaced(pool: sphinx.Pool) -> None:
    sound = Sound(talk((1.0, False)))
    before = pool.words(sound, sound.samples, 0.0)
    child = pool._idle.get(timeout=5)
    assert child is not None
    child._process.kill()
    child._process.wait(timeout=10)
    pool._idle.put(child)
    assert pool.words(sound, sound.samples, 0.0) == before


def test_a_recogniser_that_hangs_is_given_up(pool: sphinx.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def sleeper(*_: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(["sleep", "60"], stdin=-1, stdout=-1, bufsize=0))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", sleeper)
    sound = Sound(talk((1.0, False)), deadline=time.monotonic() + 0.5)
    with pytest.raises(DeadlineError):
        pool.words(sound, sound.samples, 0.0)
    assert started[0].poll() is not None, "it is not left behind"
    busy = sphinx.Pool(0)
    sound.deadline = time.monotonic() + 0.2
    with pytest.raises(DeadlineError, match="busy"):
        busy.words(sound, sound.samples, 0.0)


REFERENCES = {
    "spk1_snt1": "the child almost hurt the small dog",
    "spk1_snt3": "at that high level the air is pure",
    "spk1_snt4": "a thin stripe runs down the middle",
    "spk2_snt2": "what joy there is in living",
}


@pytest.mark.media
def test_a_golden_transcript(media: Path, registry: Registry, ears: LoudEars) -> None:
    from aihub.algorithms.sound_files import decode_sound

    pytest.importorskip("pocketsphinx", reason="the extra `speech` is not installed")
    ears.absent |= {"asr", "vad"}
    wrong = total = 0
    for name, said in REFERENCES.items():
        sound = Sound(decode_sound((media / "audio" / "speech_en" / f"{name}.wav").read_bytes()))
        found = hear(registry.get("speech-to-text"), sound, {}, ears)
        assert isinstance(found, Transcript)
        if name == "spk1_snt1":
            assert found.text == "the child almost heard the small dog"
            words = found.segments[0].words
            assert [word.text for word in words[:3]] == ["the", "child", "almost"]
            assert words[1].start == pytest.approx(0.1, abs=0.15)
        wrong += _edits(said.split(), found.text.split())
        total += len(said.split())
    assert wrong / total < 0.5, "the card says one word in three"


def _edits(said: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]
