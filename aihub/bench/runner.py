"""Run a suite: settings in, a result out, whatever happens in between."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aihub.bench.machine import describe, load_a_core
from aihub.bench.results import Result
from aihub.bench.stand import Kept, NotHereError, Stand
from aihub.bench.suite import Suite

Say = Callable[[str], None]
logger = logging.getLogger(__name__)


def run(
    suite: Suite,
    folder: Path,
    *,
    given: Mapping[str, Any] | None = None,
    quick: bool = False,
    seed: int = 0,
    command: str = "",
    say: Say | None = None,
    kept: Kept | None = None,
) -> Result:
    """Run a suite.

    A suite that breaks gives a result with what it had found till then and `failure`: an hour's measuring is not lost to
    its last minute.

    Args:
        suite: to run.
        folder: for its working files.
        given: settings over the suite's own.
        quick: the short selection.
        seed: of everything random.
        command: what repeats it, for the result.
        say: told what is being done.
        kept: what the suites of a run share.

    Raises:
        InputError: a setting is wrong.
    """
    settings = suite.settings(quick=quick, given=given)
    stand = Stand(folder, seed=seed, quick=quick, say=say, kept=kept)
    load, begun_at, begun, failure = load_a_core(), datetime.now(UTC), time.monotonic(), ""
    try:
        stand.pace.take()
        suite.measure(stand, settings)
    except NotHereError as error:
        stand.skipped[suite.card.name] = error.message
    except Exception as error:
        logger.exception("the suite %s broke", suite.card.name)
        failure = "".join(traceback.format_exception_only(error)).strip()
    finally:
        stand.pace.take()
        stand.close()
    return Result(
        suite=suite.card.name,
        title=suite.card.title.en,
        command=command or f"aihub bench run {suite.card.name}",
        begun_at=begun_at,
        seconds=round(time.monotonic() - begun, 1),
        seed=seed,
        quick=quick,
        settings=settings.model_dump(mode="json"),
        machine=describe(stand.pace, load),
        figures=tuple(stand.figures),
        curves=tuple(stand.curves),
        histograms=tuple(stand.histograms),
        stacks=tuple(stand.stacks),
        skipped=stand.skipped,
        failure=failure,
    )
