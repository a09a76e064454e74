"""Write `benchmarks/result.schema.json`, the JSON schema of a result.

python -m tools.result_schema
"""

from __future__ import annotations

import json
from pathlib import Path

from aihub.bench.results import Result

PATH = Path(__file__).parent.parent / "benchmarks" / "result.schema.json"


def schema() -> str:
    """JSON schema (2020-12) of what `aihub bench run` writes, as text."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Result.model_json_schema()}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema(), encoding="utf-8")
