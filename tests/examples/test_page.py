"""The page about the API shows the examples as they are, all of them, and its tables agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aihub.errors import AihubError
from aihub.serve.problems import catalogue, status_of
from aihub.settings import Settings
from tools.include_examples import included, named

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
EXAMPLES = ROOT / "docs" / "examples"
CODE = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh", ".mjs", ".html"})


def test_the_page_shows_every_example_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(named(page)) == CODE
    assert included(page, EXAMPLES) == page, "run python tools/include_examples.py docs/api.md"


def test_an_example_is_put_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("echo 1\n")
    empty = "before\n\n<!-- example: a.sh -->\n\nafter\n"
    full = included(empty, tmp_path)
    assert full == "before\n\n<!-- example: a.sh -->\n```bash\necho 1\n```\n\nafter\n"
    (tmp_path / "a.sh").write_text("echo 2\n")
    assert included(full, tmp_path) == full.replace("echo 1", "echo 2")


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")
    table = rest[rest.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_table_of_errors_is_right() -> None:
    statuses = {status_of(kind) for kind in _all()}
    told = {int(row[0]): row[1] for row in rows("Errors")}
    assert statuses <= set(told)
    known = {str(row["code"]): int(str(row["status"])) for row in catalogue()}
    for status, codes in told.items():
        for code in re.findall(r"`([a-z-]+)`", codes):
            assert known.get(code, status) == status, code


@pytest.mark.parametrize("row", rows("Limits"), ids=lambda row: row[0])
def test_limits_are_settings_with_their_defaults(row: list[str]) -> None:
    names = re.findall(r"`([a-z_]+)`", row[1])
    assert names
    for name in names:
        assert name in Settings.model_fields, name


def _all() -> list[type[AihubError]]:
    found: list[type[AihubError]] = []
    queue = [kind for kind in AihubError.__subclasses__() if kind.__module__ == "aihub.errors"]
    while queue:
        kind = queue.pop()
        queue += [child for child in kind.__subclasses__() if child.__module__ == "aihub.errors"]
        found.append(kind)
    return found
