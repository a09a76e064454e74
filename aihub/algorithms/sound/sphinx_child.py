"""The recogniser in a process of its own: PocketSphinx holds the interpreter's lock while it works, and what it does wrong
must not end the hub. Reads lengths and 16-bit samples from standard input, writes lengths and JSON to standard output.

With an argument, a grammar in JSGF, it knows the words of that only. `prob` tells nothing then, so the confidence is how much better the
words fit than whatever sounds of speech fit best: 0.5 where as well, 0 where far worse.

Run as a script; imports nothing of the hub.
"""

import json
import math
import re
import signal
import struct
import sys
import time
from typing import Any

_SPREAD = 0.05
"""Of the logarithm of how much better a grammar's words fit, between words that it knows and others."""
_VARIANT = re.compile(r"\(\d+\)$")


def _serve() -> None:
    from pocketsphinx import Decoder

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    grammar = sys.argv[1] if len(sys.argv) > 1 else ""
    decoder = _spotter(grammar) if grammar else Decoder(samprate=16000, loglevel="FATAL")
    recognise = _fit if grammar else _recognise
    given, out = sys.stdin.buffer, sys.stdout.buffer
    while len(head := given.read(4)) == 4:
        (length,) = struct.unpack("<I", head)
        body = given.read(length)
        if len(body) < length:
            return
        decoder.reinit_feat()  # else it adapts to whatever was heard last, whoever's it was
        answer = json.dumps(recognise(decoder, body)).encode()
        out.write(struct.pack("<I", len(answer)) + answer)
        out.flush()


def _recognise(decoder: Any, body: bytes) -> dict[str, Any]:
    began = time.process_time()
    words = []
    if body:
        decoder.start_utt()
        decoder.process_raw(body, full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is not None:
            for part in decoder.seg():
                if part.word[0] not in "<[+":
                    sure = min(max(float(part.prob), 0.0), 1.0)
                    words.append([_VARIANT.sub("", part.word), part.start_frame, part.end_frame + 1, sure])
    return {"words": words, "cpu_s": time.process_time() - began}


def _spotter(grammar: str) -> Any:
    from pocketsphinx import Decoder, get_model_path

    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    decoder.add_jsgf_string("grammar", grammar)
    decoder.add_allphone_file("sounds", f"{get_model_path()}/en-us/en-us-phone.lm.bin")
    return decoder


def _fit(decoder: Any, body: bytes) -> dict[str, Any]:
    began = time.process_time()
    decoder.activate_search("grammar")
    found = _recognise(decoder, body)["words"]
    score = decoder.hyp().score if found else 0.0
    if found:
        decoder.activate_search("sounds")
        decoder.reinit_feat()
        _recognise(decoder, body)
        free = decoder.hyp()
        ratio = math.log(score / free.score) if free is not None and min(score, free.score) > 0 else 0.0
        sure = 1 / (1 + math.exp(-max(min(ratio / _SPREAD, 30.0), -30.0)))
        found = [[text, first, last, sure] for text, first, last, _ in found]
    return {"words": found, "cpu_s": time.process_time() - began}


if __name__ == "__main__":
    _serve()
