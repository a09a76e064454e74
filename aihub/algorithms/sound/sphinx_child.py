"""The recogniser in a process of its own: PocketSphinx holds the interpreter's lock while it works, and what it does wrong
must not end the hub. Reads lengths and 16-bit samples from standard input, writes lengths and JSON to standard output.

Run as a script; imports nothing of the hub.
"""

import json
import re
import signal
import struct
import sys
import time
from typing import Any

_VARIANT = re.compile(r"\(\d+\)$")


def _serve() -> None:
    from pocketsphinx import Decoder

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    given, out = sys.stdin.buffer, sys.stdout.buffer
    while len(head := given.read(4)) == 4:
        (length,) = struct.unpack("<I", head)
        body = given.read(length)
        if len(body) < length:
            return
        decoder.reinit_feat()  # else it adapts to whatever was heard last, whoever's it was
        answer = json.dumps(_recognise(decoder, body)).encode()
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


if __name__ == "__main__":
    _serve()
