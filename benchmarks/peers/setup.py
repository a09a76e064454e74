"""Make the environment of each peer, and say which cannot be made and why.

    python -m benchmarks.peers.setup [PEER ...] [--into .venv-peers] [--again]

The runtimes are held to the hub's own versions where the peer allows it, so that the same kernels compute. An environment
that stands is left alone unless --again is given.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aihub.bench.peers.installed import ENVIRONMENTS, MARK, PeerCard, cards, place

RUNTIMES = ("onnxruntime", "openvino")
TIMEOUT_S = 3600
ASK = (
    "import importlib.metadata as m, json, sys\n"
    "have = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}\n"
    "print(json.dumps({name: have[name] for name in sys.argv[1:] if name in have}))"
)


def constraints() -> str:
    """The hub's own runtimes, as pip reads them."""
    lines = []
    for name in RUNTIMES:
        try:
            lines.append(f"{name}=={version(name)}\n")
        except PackageNotFoundError:
            continue
    return "".join(lines)


def reason(said: str) -> str:
    """Why pip gave up: its lines that begin with ERROR, or its last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR")]
    return " ".join(errors or lines[-1:] or ["pip said nothing"])[:600]


def install(card: PeerCard, home: Path) -> tuple[bool, str]:
    """pip into an environment: whether it worked, and what it said. Without the constraints where it cannot with them."""
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "-r", str(place(card) / "requirements.txt")]  # fmt: skip
    held = home / "constraints.txt"
    held.write_text(constraints(), encoding="utf-8")
    said = ""
    for more in (["-c", str(held)], []):
        try:
            done = subprocess.run(
                [*pip, *more], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return False, f"ERROR: not within {TIMEOUT_S} s"
        if not done.returncode:
            return True, ""
        said = done.stdout + done.stderr
    return False, said


def make(card: PeerCard, into: Path, *, again: bool) -> dict[str, object]:
    """Make one environment; gives what is written into its mark."""
    home = into / card.name
    mark = home / MARK
    if mark.exists() and not again:
        found: dict[str, object] = json.loads(mark.read_text(encoding="utf-8"))
        if "failed" not in found:
            return found
    shutil.rmtree(home, ignore_errors=True)
    venv.EnvBuilder(with_pip=True).create(home)
    works, said = install(card, home)
    if works:
        asked = [
            str(home / "bin" / "python"),
            "-c",
            ASK,
            card.package,
            *RUNTIMES,
            "numpy",
            "opencv-python-headless",
        ]
        done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
        found = {"versions": json.loads(done.stdout)}
    else:
        found = {"failed": reason(said)}
    mark.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return found


def main() -> None:
    """Parse, make, say what came of it; exits with 1 if one could not be made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peers", nargs="*", metavar="PEER", help="all, where none is named")
    parser.add_argument("--into", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--again", action="store_true", help="make it anew")
    asked = parser.parse_args()
    known = {card.name: card for card in cards()}
    if unknown := sorted(set(asked.peers) - set(known)):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(known)}")
    failed = False
    for name in asked.peers or known:
        sys.stderr.write(f"{name} ...\n")
        found = make(known[name], asked.into, again=asked.again)
        failed = failed or "failed" in found
        sys.stdout.write(f"{name}: {found.get('versions') or 'does not install: ' + str(found['failed'])}\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
