"""The tree of commands: imported late, complete, and the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from aihub import __version__
from aihub.cli import PLACES, app, load

HEAVY = {"cv2", "onnxruntime", "openvino", "onnx", "scipy", "ray", "fastapi", "rapidocr"}
LIGHT = {"numpy", "sqlalchemy", "httpx2", "aihub.types", "aihub.settings"}
WATCH = """
import json, sys
from aihub.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
sys.stderr.write("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def leaves() -> Iterator[tuple[str, Any]]:
    for name in PLACES:
        command = load(name)
        if hasattr(command, "commands"):
            yield from ((f"{name} {verb}", leaf) for verb, leaf in command.commands.items())
        else:
            yield name, command


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (
            ["--help"],
            HEAVY | LIGHT,
        ),  # the first thing a person types
        (["version"], HEAVY | LIGHT),  # scripts ask in a loop
        (["--version"], HEAVY | LIGHT),
        (["keys", "list"], HEAVY),  # the database, and nothing that looks at pictures
        (["up", "--help"], HEAVY),  # Ray when it is started, not when it is asked about
    ],
)
def test_commands_import_only_what_they_need(arguments: list[str], unwanted: set[str], here: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code in (0, None)
    assert not unwanted.intersection(modules)


def test_every_command_answers_programs() -> None:
    lacking = [name for name, leaf in leaves() if "--json" not in [o for p in leaf.params for o in p.opts]]
    assert not lacking


def test_every_command_and_option_says_what_it_is_for() -> None:
    mute = [name for name, leaf in leaves() if not leaf.help]
    mute += [f"{name} {p.name}" for name, leaf in leaves() for p in leaf.params if not p.help]
    assert not mute


@pytest.mark.parametrize("name", sorted(PLACES))
def test_help_names_the_whole_command(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], prog_name="aihub")
    assert done.exit_code == 0
    assert f"aihub {name}" in done.output


def test_help_lists_every_command() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(name in text for name in (*PLACES, "version"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Usage"),  # nothing asked for: say what there is
        (["nope"], 2, "No such command"),
        (["strems", "list"], 2, "streams"),  # the nearest
        (["streams", "nope"], 2, "No such command"),
        (["infer"], 2, "Missing argument"),
        (["--version"], 0, __version__),
    ],
)
def test_usage(arguments: list[str], code: int, words: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code
    assert words in done.output
