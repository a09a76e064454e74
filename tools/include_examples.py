"""Put the text of each example into the page that shows it: below `<!-- example: FILE -->` stands FILE as a code block.

python tools/include_examples.py docs/api.md           rewrites the page
python tools/include_examples.py --check docs/api.md   fails when that would change it
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LANGUAGES = {".sh": "bash", ".py": "python", ".mjs": "javascript", ".html": "html"}
_PLACE = re.compile(r"(<!-- example: (?P<file>[\w.]+) -->\n)(```\w*\n.*?\n```\n)?", re.DOTALL)


def included(page: str, folder: Path) -> str:
    """The page with every example as it is in the folder."""

    def block(found: re.Match[str]) -> str:
        path = folder / found["file"]
        return f"{found[1]}```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8').rstrip()}\n```\n"

    return _PLACE.sub(block, page)


def named(page: str) -> list[str]:
    """The files that a page shows."""
    return [found["file"] for found in _PLACE.finditer(page)]


def main(arguments: list[str]) -> int:
    """Rewrite or check pages; how many differ."""
    check = "--check" in arguments
    differ = 0
    for name in arguments:
        if name == "--check":
            continue
        path = Path(name)
        old = path.read_text(encoding="utf-8")
        new = included(old, path.parent / "examples")
        if new == old:
            continue
        if check:
            differ += 1
            sys.stderr.write(f"{path}: an example differs; run python tools/include_examples.py {path}\n")
        else:
            path.write_text(new, encoding="utf-8")
    return differ


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
