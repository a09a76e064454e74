"""OpenAI's own client against the hub, on a real socket: it works unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.audio import TranscriptionVerbose

from tests.algorithms.sound.making import LoudEars, as_file, talk
from tests.serve.hub import TestHub

TWO = as_file(talk((0.5, False), (1.0, True), (1.0, False), (1.0, True), (0.5, False)))
"""Two stretches of speech."""
SAID = "hello world hello world"


@pytest.fixture
def api(hub: TestHub, url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=hub.key("infer"), base_url=f"{url}/v1", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("model", ["speech-to-text", "whisper-1", "gpt-4o-transcribe"])
def test_a_recording_becomes_text(api: openai.OpenAI, model: str) -> None:
    made = api.audio.transcriptions.create(model=model, file=("talk.wav", TWO))
    assert made.text == SAID
    assert made.usage is not None
    assert made.usage.type == "duration"
    assert made.usage.seconds == 4


def test_text_comes_as_text(api: openai.OpenAI) -> None:
    made = api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO), response_format="text")
    assert made == f"{SAID}\n"


def test_subtitles_have_times(api: openai.OpenAI) -> None:
    srt = api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO), response_format="srt")
    blocks = str(srt).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2"]
    assert " --> " in blocks[0]
    vtt = api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO), response_format="vtt")
    assert str(vtt).startswith("WEBVTT\n\n00:00:00.")


@pytest.mark.parametrize(
    ("granularities", "segments", "words"),
    [(None, 2, None), (["segment"], 2, None), (["word"], None, 4), (["word", "segment"], 2, 4)],
)
def test_verbose_has_what_was_asked_for(
    api: openai.OpenAI, granularities: list[str] | None, segments: int | None, words: int | None
) -> None:
    asked: Any = {} if granularities is None else {"timestamp_granularities": granularities}
    made = api.audio.transcriptions.create(
        model="whisper-1",
        file=("talk.wav", TWO),
        response_format="verbose_json",
        language="en",
        **asked,
    )
    assert isinstance(made, TranscriptionVerbose)
    assert made.duration == pytest.approx(4.0)
    assert made.language == "en"
    assert (None if made.segments is None else len(made.segments)) == segments
    assert (None if made.words is None else len(made.words)) == words
    for one in made.segments or []:
        assert 0 <= one.start < one.end <= 4.0
        assert one.avg_logprob <= 0


def test_it_streams(api: openai.OpenAI) -> None:
    events = list(api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO), stream=True))
    kinds = [event.type for event in events]
    assert kinds == ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"]
    deltas = "".join(event.delta for event in events if event.type == "transcript.text.delta")
    done = events[-1]
    assert done.type == "transcript.text.done"
    assert deltas == done.text == SAID


def test_silence_streams_its_end(api: openai.OpenAI) -> None:
    file = ("talk.wav", as_file(talk((1.0, False))))
    (event,) = api.audio.transcriptions.create(model="whisper-1", file=file, stream=True)
    assert event.type == "transcript.text.done"
    assert event.text == ""


async def test_the_asynchronous_client_works_too(hub: TestHub, url: str) -> None:
    async with openai.AsyncOpenAI(api_key=hub.key("infer"), base_url=f"{url}/v1", max_retries=0) as api:
        made = await api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO))
        assert made.text == SAID
        stream = await api.audio.transcriptions.create(model="whisper-1", file=("t.wav", TWO), stream=True)
        assert [event.type async for event in stream][-1] == "transcript.text.done"
        assert "whisper-1" in {model.id async for model in api.models.list()}


def test_models_are_listed(api: openai.OpenAI) -> None:
    models = {model.id: model for model in api.models.list()}
    assert {"speech-to-text", "audio-tagging", "voice-activity", "keyword-spotting", "whisper-1"} <= set(
        models
    )
    assert "thing-detection" not in models, "it does not listen"
    assert models["whisper-1"].model_extra is not None
    assert models["whisper-1"].model_extra["ready"] is True
    assert api.models.retrieve("whisper-1").owned_by == "aihub"


def test_what_has_no_weights_says_so(hub: TestHub, ears: LoudEars, api: openai.OpenAI) -> None:
    ears.absent.add("audio-tag")
    row = api.models.retrieve("audio-tagging")
    assert row.model_extra is not None
    assert row.model_extra["ready"] is False
    assert "aihub models pull audio-tag" in row.model_extra["reason"]


def test_errors_are_those_that_the_client_knows(hub: TestHub, url: str, api: openai.OpenAI) -> None:
    create = api.audio.transcriptions.create
    with pytest.raises(openai.NotFoundError) as absent:
        create(model="whisper-9", file=("talk.wav", TWO))
    assert (absent.value.code, absent.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as deaf:
        create(model="audio-tagging", file=("talk.wav", TWO))
    assert deaf.value.param == "model"
    with pytest.raises(openai.BadRequestError) as wrong:
        create(model="whisper-1", file=("talk.wav", TWO), timestamp_granularities=["word"])
    assert wrong.value.param == "timestamp_granularities"
    with pytest.raises(openai.APIStatusError) as noise:
        create(model="whisper-1", file=("talk.wav", b"no sound at all, but text"))
    assert noise.value.status_code == 415
    assert noise.value.type == "invalid_request_error"
    deprecated = pytest.warns(DeprecationWarning, match="deprecated")  # by OpenAI, not by us
    with deprecated, pytest.raises(openai.BadRequestError) as translated:
        api.audio.translations.create(model="whisper-1", file=("talk.wav", TWO))
    assert "translates" in str(translated.value)
    stranger = openai.OpenAI(api_key="wrong", base_url=f"{url}/v1", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError) as unknown:
        stranger.models.list()
    assert unknown.value.code == "invalid_api_key"
    streamer = openai.OpenAI(api_key=hub.key("streams"), base_url=f"{url}/v1", max_retries=0)
    with streamer, pytest.raises(openai.PermissionDeniedError):
        streamer.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO))


def test_a_broken_file_is_told_by_the_status_of_a_stream(api: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="cannot be read"):
        list(api.audio.transcriptions.create(model="whisper-1", file=("t.wav", TWO[:30]), stream=True))


def test_a_grant_that_is_not_there_hides_the_model(
    hub: TestHub, api: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aihub.serve.security import Caller

    monkeypatch.setattr(Caller, "may_use", lambda self, name: name == "voice-activity")
    assert [model.id for model in api.models.list()] == ["voice-activity"]
    with pytest.raises(openai.NotFoundError):
        api.audio.transcriptions.create(model="whisper-1", file=("talk.wav", TWO))
