"""Every example of the documentation against a whole hub, as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.hub.conftest import Hub

pytestmark = [pytest.mark.hub, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CODE = "parcel 4711 to dock 3"
"""What the drawn parcel says."""


@pytest.fixture(scope="module")
def surroundings(hub: Hub) -> dict[str, str]:
    """What an example finds: where the hub is, a key that may do what it needs, and nothing else of ours."""
    answer = hub.call("POST", "/v1/keys", json={"name": "example", "scopes": ["infer", "streams", "events"]})
    assert answer.status_code == 201, answer.text
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIHUB_")}
    return clean | {
        "AIHUB_URL": hub.url,
        "AIHUB_GRPC": f"127.0.0.1:{hub.grpc_port}",
        "AIHUB_KEY": answer.json()["key"],
        "PYTHONWARNINGS": "error",
    }


def run(command: list[str], surroundings: dict[str, str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=surroundings, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed on this machine")


@pytest.mark.parametrize(
    ("file", "module", "words"),
    [
        ("python_sync.py", "aihub", [CODE, "refused: colour", "blurred-picture ->"]),
        ("python_async.py", "aihub", [CODE, "8 pictures", "alarms within 2 s: "]),
        (
            "texts_and_series.py",
            "aihub",
            ["about: garbage", "refused: horizon", "said before: [[], [], ['0']]"],
        ),
        ("triton_http.py", "tritonclient.http", [CODE, "ready: ", "refused: "]),
        ("triton_grpc.py", "tritonclient.grpc", [CODE, "ready: ", "refused: ", "8 codes"]),
        ("openai_audio.py", "openai", ["models: ", "whisper-1"]),
    ],
)
def test_python(file: str, module: str, words: list[str], surroundings: dict[str, str]) -> None:
    if find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed here")
    said = run([sys.executable, str(EXAMPLES / file)], surroundings)
    assert all(word in said for word in words), said
    if file == "openai_audio.py":
        assert "hello world" in said or "refused: 503" in said, said


def test_curl(surroundings: dict[str, str]) -> None:
    needs("curl")
    said = run(["bash", str(EXAMPLES / "curl.sh")], surroundings)
    assert said.count(CODE) == 2
    assert '"field": "colour"' in said.replace('":"', '": "')
    assert "exit status 22" in said
    assert "bytes of JPEG" in said


def test_fetch_in_node(surroundings: dict[str, str]) -> None:
    needs("node")
    said = run(["node", str(EXAMPLES / "fetch.mjs")], surroundings)
    assert CODE in said
    assert "refused: 422 params: colour" in said


class _Pages(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def pages(hub: Hub) -> Iterator[str]:
    """A server with the examples, at the origin that the hub lets in."""
    server = ThreadingHTTPServer(("127.0.0.1", hub.pages_port), partial(_Pages, directory=str(EXAMPLES)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{hub.pages_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def browse(address: str, folder: Path, surroundings: dict[str, str]) -> str:
    """What a page holds when its scripts have run."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += [f"--user-data-dir={folder}", "--virtual-time-budget=20000", "--timeout=60000", "--dump-dom"]
    return run(["chromium", *options, address], surroundings)


def test_fetch_in_a_browser(hub: Hub, pages: str, surroundings: dict[str, str], tmp_path: Path) -> None:
    needs("chromium")
    asked = f"#{hub.url},{surroundings['AIHUB_KEY']}"
    page = browse(f"{pages}/fetch.html{asked}", tmp_path, surroundings)
    assert CODE in page
    assert "refused: 422 params: colour" in page
    assert "done\n" in page
    # The same page from a place that the operator did not name: the browser keeps the answers from it.
    other = browse(f"{pages.replace('127.0.0.1', 'localhost')}/fetch.html{asked}", tmp_path, surroundings)
    assert "failed: TypeError" in other
    assert CODE not in other
