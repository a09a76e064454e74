"""The hub through OpenAI's client. Needs `pip install openai`, AIHUB_URL and AIHUB_KEY."""

import os
from pathlib import Path

from openai import APIStatusError, OpenAI

SAID = Path(__file__).parent / "said.wav"

with OpenAI(base_url=f"{os.environ['AIHUB_URL']}/v1", api_key=os.environ["AIHUB_KEY"]) as client:
    print("models:", ", ".join(model.id for model in client.models.list()))
    try:
        heard = client.audio.transcriptions.create(
            model="whisper-1",  # or the id of an algorithm, such as speech-to-text
            file=SAID,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        print(f"{heard.duration} s: {heard.text!r}")
        for word in heard.words or []:
            print(f"{word.start:6.2f} {word.word}")
        print(client.audio.transcriptions.create(model="whisper-1", file=SAID, response_format="srt"))
    except APIStatusError as error:
        print("refused:", error.status_code, error.code, error.message)
