"""Fuzzing with coverage: `python -m tests.fuzz TARGET --seconds 600`; without a target it lists them.

What it finds on its way is kept in the corpus folder, what breaks the law beside it in `findings`. Put a small copy of a
finding into `tests/fuzz/seeds/TARGET/`: the ordinary tests try it from then on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

from tests.fuzz.targets import FINDINGS, NAMES, Target, load

MISSING = "fuzzing needs atheris: python -m pip install --group fuzz (Linux, Python 3.11 to 3.13)"
HANG_S = 10
"""Seconds after which one input counts as a hang: instrumented code is some ten times as slow."""
MEMORY_MB = 2048
"""Of the whole process; its libraries take a tenth of that."""


def main() -> int:
    """Run one target; ends the process, with 77 where something was found."""
    options = _parser().parse_args()
    if options.target is None:
        sys.stdout.write("".join(f"{name}\n" for name in NAMES))
        return 0
    try:
        import atheris
    except ImportError:
        sys.stderr.write(MISSING + "\n")
        return 2
    # Ours alone: what the libraries do inside tells nothing about our branches, and makes every run slower.
    with atheris.instrument_imports(include=["aihub"]):
        target = load(options.target)
    warnings.simplefilter("error")  # as in the tests

    def one(data: bytes) -> None:
        target.check(data)

    with tempfile.TemporaryDirectory(prefix="aihub-fuzz-") as folder:
        atheris.Setup(_arguments(target, Path(folder), options.corpus, options.seconds), one)
        atheris.Fuzz()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz one decoder of outside bytes."
    )
    parser.add_argument("target", nargs="?", choices=NAMES, help="without one: list them")
    parser.add_argument("--seconds", type=int, default=600, help="how long")
    parser.add_argument(
        "--corpus", type=Path, default=Path(".fuzz"), help="folder that grows from run to run"
    )
    return parser


def _arguments(target: Target, folder: Path, corpus: Path, seconds: int) -> list[str]:
    """What libFuzzer is told; makes the folders and files that it names."""
    kept, findings, seeds = corpus / target.name, corpus / "findings", folder / "seeds"
    for place in (kept, findings, seeds, FINDINGS / target.name):
        place.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.sound):
        (seeds / f"{number:03}").write_bytes(data)
    words = folder / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words), encoding="ascii")
    return [
        "tests.fuzz",
        str(kept),  # the first folder is the one that is written to
        str(seeds),
        str(FINDINGS / target.name),
        f"-dict={words}",
        f"-artifact_prefix={findings}/{target.name}-",
        f"-max_total_time={seconds}",
        f"-max_len={target.longest}",
        f"-timeout={HANG_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1",
    ]


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
