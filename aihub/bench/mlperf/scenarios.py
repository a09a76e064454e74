"""The four scenarios of MLPerf, driven by its own load generator: SingleStream, MultiStream, Server, Offline.

LoadGen decides when what is asked and writes what it saw into a folder; here it is started, bounded in time, and read.
Its runs end as INVALID when they were too short for its rules (early stopping wants hundreds of queries): that is passed on.
"""

from __future__ import annotations

import array
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from aihub.bench.stand import NotHereError
from aihub.errors import AihubError, CapacityError

Scenario = Literal["SingleStream", "MultiStream", "Server", "Offline"]
Mode = Literal["PerformanceOnly", "AccuracyOnly"]
Answer = Callable[[int, "bytes | Exception"], None]
"""Called once for each sample, from any thread: its position among those that were issued, and the answer or what went wrong."""

_PROBES = 8
_LEAVE_S = 10.0
"""How long LoadGen may take to leave once everything that it waits for has been answered for it."""
_alone = threading.Lock()
"""LoadGen keeps its state in globals: one test at a time in a process."""


class System(Protocol):
    """What is measured: answers samples of a library by their index."""

    @property
    def samples(self) -> int:
        """How many there are in the library, at least 1; all are in memory."""

    def issue(self, samples: Sequence[int], answer: Answer) -> None:
        """Begin to work on samples, and return at once: a query waits for no other.

        Args:
            samples: indices into the library, some of them perhaps twice.
            answer: to be called once for each.
        """


class Rules(BaseModel):
    """How a scenario is driven.

    Attributes:
        scenario: as MLPerf names it.
        seconds: shortest duration.
        most_seconds: longest duration; what is cut short is invalid.
        queries: fewest queries.
        seed: of the order of samples and of the arrivals of Server.
        target_qps: Server: mean arrivals a second.
        latency_ms: Server: bound on the 99th percentile.
        samples_per_query: MultiStream: samples that arrive together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    scenario: Scenario
    seconds: float = Field(2.0, ge=0.05, le=600)
    most_seconds: float = Field(60.0, ge=0.1, le=3600)
    queries: int = Field(64, ge=1, le=1_000_000)
    seed: int = 0
    target_qps: float = Field(10.0, gt=0, le=1e6)
    latency_ms: float = Field(100.0, gt=0, le=60_000)
    samples_per_query: int = Field(8, ge=1, le=256)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What LoadGen says of a performance run.

    Attributes:
        rules: what it was driven by.
        valid: whether it holds by MLPerf's rules.
        reason: why not.
        qps: samples a second.
        p50_ms, p90_ms, p99_ms: latencies of queries; of single samples for Offline, whose only query takes the whole run.
        queries: how many there were.
        folder: LoadGen's logs.
    """

    rules: Rules
    valid: bool
    reason: str
    qps: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    queries: int
    folder: Path


def performance(system: System, rules: Rules, folder: Path) -> Outcome:
    """Performance mode: how quick.

    Args:
        system: to be measured.
        rules: of the run.
        folder: for LoadGen's logs; made, and what an earlier run left there is written over.

    Raises:
        NotHereError: LoadGen is not installed.
        CapacityError: it did not end in time, or another test still runs.
        Exception: what the system answered in place of an answer.
    """
    _drive(system, rules, "PerformanceOnly", folder)
    return _read(rules, folder)


def accuracy(system: System, rules: Rules, folder: Path) -> dict[int, bytes]:
    """Accuracy mode: the answer to each sample of the library, each asked for once. Arguments and errors as of `performance`.

    Raises:
        AihubError: a sample was not answered, as LoadGen's log shows.
    """
    _drive(system, rules, "AccuracyOnly", folder)
    log = json.loads((folder / "mlperf_log_accuracy.json").read_text(encoding="ascii"))
    answers = {int(entry["qsl_idx"]): bytes.fromhex(entry["data"]) for entry in log}
    if len(answers) != system.samples:
        raise AihubError(f"LoadGen logged answers to {len(answers)} of {system.samples} samples")
    return answers


def _loadgen() -> Any:
    try:
        return import_module("mlperf_loadgen")
    except ImportError:
        raise NotHereError("MLPerf's load generator is not installed: pip install 'aihub[bench]'") from None


class _Desk:
    """Between LoadGen and the system: every query is answered exactly once, whatever the system does.

    An exception that left a callback would end the process, since LoadGen is C++; so they are kept for later.
    """

    def __init__(self, loadgen: Any, system: System) -> None:
        self._loadgen, self._system = loadgen, system
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._given_up = False
        self.failure: Exception | None = None

    def issue(self, queries: Sequence[Any]) -> None:
        """Called by LoadGen."""
        ids = [query.id for query in queries]
        with self._lock:
            given_up = self._given_up
            if not given_up:
                self._open.update(ids)
        if given_up:
            self._complete(ids, b"")
            return
        try:
            self._system.issue(
                [query.index for query in queries], lambda at, data: self._answered(ids[at], data)
            )
        except Exception as error:  # noqa: BLE001 - kept, and raised when the test is over
            for one in ids:
                self._answered(one, error)

    def _answered(self, one: int, data: bytes | Exception) -> None:
        with self._lock:
            if one not in self._open:  # a second answer, or one that comes after all were given up
                return
            self._open.remove(one)
            if isinstance(data, Exception):
                self.failure = self.failure or data
        self._complete([one], b"" if isinstance(data, Exception) else data)

    def _complete(self, ids: Iterable[int], data: bytes) -> None:
        held = array.array("B", data)
        address, length = held.buffer_info()
        self._loadgen.QuerySamplesComplete(
            [self._loadgen.QuerySampleResponse(one, address if data else 0, length) for one in ids]
        )

    def give_up(self) -> None:
        """Answer what is open and all that comes with nothing, so that LoadGen comes to its end."""
        with self._lock:
            self._given_up = True
            left, self._open = list(self._open), set()
        self._complete(left, b"")


def _drive(system: System, rules: Rules, mode: Mode, folder: Path) -> None:
    """Run LoadGen in a thread of its own, so that a system that never answers does not hold the suite for ever."""
    loadgen = _loadgen()
    folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(loadgen, rules, mode, _probe(system, rules))
    desk = _Desk(loadgen, system)
    if not _alone.acquire(timeout=_LEAVE_S):
        raise CapacityError("another test of LoadGen runs in this process, or has never ended")
    worker = threading.Thread(
        target=_test, args=(loadgen, desk, system.samples, settings, folder), daemon=True
    )
    worker.start()
    limit = rules.most_seconds + _LEAVE_S
    worker.join(limit)
    if worker.is_alive():
        desk.give_up()
        worker.join(_LEAVE_S)
        raise CapacityError(
            f"{rules.scenario}: the system left queries unanswered, LoadGen did not end in {limit:.0f} s"
        )
    if desk.failure is not None:
        raise desk.failure


def _test(loadgen: Any, desk: _Desk, samples: int, settings: Any, folder: Path) -> None:
    try:
        where = loadgen.LogOutputSettings()
        where.outdir, where.copy_summary_to_stdout = str(folder), False
        logs = loadgen.LogSettings()
        logs.log_output, logs.enable_trace = where, False
        sut = loadgen.ConstructSUT(desk.issue, lambda: None)
        library = loadgen.ConstructQSL(samples, samples, lambda _: None, lambda _: None)
        try:
            # Without a file of that name LoadGen audits nothing; its default would be read from the working folder.
            loadgen.StartTestWithLogSettings(sut, library, settings, logs, str(folder / "no-audit.config"))
        finally:
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(sut)
    finally:
        _alone.release()


def _probe(system: System, rules: Rules) -> tuple[float, float]:
    """Seconds of a sample alone, and samples a second of some at once: LoadGen plans its queries by them."""
    alone = min(_timed(system, [index % system.samples], rules) for index in range(_PROBES))
    many = [index % system.samples for index in range(4 * _PROBES)]
    return alone, len(many) / _timed(system, many, rules)


def _timed(system: System, samples: Sequence[int], rules: Rules) -> float:
    done, failures, left = threading.Event(), [], set(range(len(samples)))
    lock = threading.Lock()

    def answer(at: int, data: bytes | Exception) -> None:
        with lock:
            left.discard(at)
            if isinstance(data, Exception):
                failures.append(data)
            if not left:
                done.set()

    begun = time.perf_counter()
    system.issue(samples, answer)
    if not done.wait(rules.most_seconds + _LEAVE_S):
        raise CapacityError(f"{rules.scenario}: {len(left)} of {len(samples)} samples were not answered")
    if failures:
        raise failures[0]
    return max(time.perf_counter() - begun, 1e-7)


def _settings(loadgen: Any, rules: Rules, mode: Mode, probed: tuple[float, float]) -> Any:
    alone_s, at_once = probed
    settings = loadgen.TestSettings()
    settings.scenario = getattr(loadgen.TestScenario, rules.scenario)
    settings.mode = getattr(loadgen.TestMode, mode)
    settings.min_duration_ms = round(1e3 * min(rules.seconds, rules.most_seconds))
    # Offline is one query, which cannot be cut short.
    settings.max_duration_ms = 0 if rules.scenario == "Offline" else round(1e3 * rules.most_seconds)
    settings.min_query_count = rules.queries
    settings.single_stream_expected_latency_ns = settings.multi_stream_expected_latency_ns = round(
        1e9 * alone_s
    )
    settings.multi_stream_samples_per_query = rules.samples_per_query
    settings.offline_expected_qps = at_once
    settings.server_target_qps = rules.target_qps
    settings.server_target_latency_ns = round(1e6 * rules.latency_ms)
    for name in ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed"):
        setattr(settings, name, rules.seed)
    return settings


def _read(rules: Rules, folder: Path) -> Outcome:
    """From the detailed log, which has a JSON object a line behind a mark."""
    found: dict[str, Any] = {}
    for line in (folder / "mlperf_log_detail.txt").read_text(encoding="utf-8").splitlines():
        _, mark, body = line.partition(":::MLLOG ")
        if mark:
            entry = json.loads(body)
            found[entry["key"]] = entry["value"]
    if "result_validity" not in found:
        raise AihubError(f"LoadGen wrote no result into {folder}")
    kind = "_percentile_per_query_latency_ns" if rules.scenario == "MultiStream" else "_percentile_latency_ns"
    p50, p90, p99 = (found[f"result_{share}{kind}"] / 1e6 for share in ("50.00", "90.00", "99.00"))
    reasons = [str(found.get("result_invalid_reason", "")), str(found.get("early_stopping_result", ""))]
    valid = found["result_validity"] == "VALID"
    return Outcome(rules, valid, "" if valid else " ".join(" ".join(reasons).split()), _rate(rules, found), p50, p90, p99,
                   int(found["result_query_count"]), folder)  # fmt: skip


def _rate(rules: Rules, found: Mapping[str, Any]) -> float:
    """Samples a second; LoadGen has another word for it in each scenario, and none in MultiStream."""
    if rules.scenario == "MultiStream":
        return float(rules.samples_per_query * 1e9 / found["result_mean_query_latency_ns"])
    return float(found[{
        "SingleStream": "result_qps_without_loadgen_overhead",
        "Server": "result_completed_samples_per_sec",
        "Offline": "result_samples_per_second",
    }[rules.scenario]])  # fmt: skip
