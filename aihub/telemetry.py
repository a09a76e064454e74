"""Metrics and logs: the one place that knows how they leave the process.

Every process keeps a registry; its text travels to the database with the process's heartbeat, and the gateway's
`/metrics` joins them (see `aihub.serve.metrics`). Never a label: track id, address, event id, user.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

FINE_SECONDS = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0
)  # fmt: skip
"""Buckets for parts of a frame: a rule takes tens of microseconds."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

INFERENCE_REQUESTS = Counter(
    "aihub_inference_requests_total", "Runs asked of a model.", ["model", "outcome"], registry=REGISTRY
)
INFERENCE_SECONDS = Histogram(
    "aihub_inference_duration_seconds",
    "Time in one stage of a model.",
    ["model", "stage"],
    buckets=SECONDS,
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "aihub_inference_batch_size",
    "Items in a batch.",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64),
    registry=REGISTRY,
)
QUEUE_SECONDS = Histogram(
    "aihub_inference_queue_seconds",
    "Time between asking and starting.",
    ["model"],
    buckets=SECONDS,
    registry=REGISTRY,
)
MODELS_LOADED = Gauge("aihub_models_loaded", "Sessions in memory.", registry=REGISTRY)
MODEL_BYTES = Gauge("aihub_model_bytes", "Measured memory of the loaded sessions.", registry=REGISTRY)
MODEL_LOAD_SECONDS = Histogram(
    "aihub_model_load_duration_seconds",
    "Time to load and warm a model.",
    ["model"],
    buckets=SECONDS,
    registry=REGISTRY,
)
STREAM_UP = Gauge("aihub_stream_up", "1 while live.", ["stream"], registry=REGISTRY)
STREAM_FRAMES = Counter(
    "aihub_stream_frames_total", "Frames by what became of them.", ["stream", "outcome"], registry=REGISTRY
)
FRAME_AGE = Histogram(
    "aihub_stream_frame_age_seconds", "Decoded to analysed.", ["stream"], buckets=SECONDS, registry=REGISTRY
)
FRAME_SECONDS = Histogram(
    "aihub_stream_step_seconds",
    "A frame's time outside its stages: receive (network and decoding, CPU of every frame that came), convert; wait, analyse and results make up its age.",
    ["step"],
    buckets=FINE_SECONDS,
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "aihub_stage_duration_seconds",
    "Own time of a stage on a frame, without waiting for models.",
    ["stage"],
    buckets=FINE_SECONDS,
    registry=REGISTRY,
)
STREAM_RECONNECTS = Counter(
    "aihub_stream_reconnects_total", "Reconnects by error code.", ["stream", "reason"], registry=REGISTRY
)
STREAM_FALLBACKS = Counter(
    "aihub_stream_fallbacks_total",
    "Connections left to OpenCV's own receiver, by what ours could not do.",
    ["reason"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "aihub_events_total", "Event transitions.", ["algorithm", "state", "severity"], registry=REGISTRY
)
EVENT_LATENCY = Histogram(
    "aihub_event_latency_seconds",
    "Frame decoded to event stored.",
    ["algorithm"],
    buckets=SECONDS,
    registry=REGISTRY,
)
EVENTS_SUPPRESSED = Counter(
    "aihub_events_suppressed_total",
    "Observations not followed: their task follows too many conditions already.",
    ["algorithm"],
    registry=REGISTRY,
)
EVENTS_SPILLED = Counter(
    "aihub_events_spilled_total", "Event transitions kept in the journal for a while.", registry=REGISTRY
)
EVENTS_REJECTED = Counter(
    "aihub_events_rejected_total", "Event transitions the database refused for good.", registry=REGISTRY
)
EVENTS_WAITING = Gauge("aihub_events_waiting", "Event transitions not stored yet.", registry=REGISTRY)
EVIDENCE_FAILURES = Counter(
    "aihub_evidence_failures_total", "Events stored without their picture.", registry=REGISTRY
)
DELIVERIES = Counter(
    "aihub_sink_deliveries_total", "Deliveries by outcome.", ["sink", "outcome"], registry=REGISTRY
)
DELIVERY_LATENCY = Histogram(
    "aihub_sink_latency_seconds",
    "Frame decoded to delivered.",
    ["sink"],
    buckets=(*SECONDS, 60, 300, 900),
    registry=REGISTRY,
)
HTTP_REQUESTS = Counter("aihub_http_requests_total", "HTTP answers.", ["route", "status"], registry=REGISTRY)
HTTP_SECONDS = Histogram(
    "aihub_http_duration_seconds", "HTTP time.", ["route"], buckets=SECONDS, registry=REGISTRY
)
STAGE_FAILURES = Counter(
    "aihub_stage_failures_total", "Stages that failed on a frame.", ["stage", "error"], registry=REGISTRY
)
PLUGIN_FAILURES = Counter(
    "aihub_plugin_failures_total", "Plug-ins that failed to load.", ["group"], registry=REGISTRY
)


def exposition() -> str:
    """This process's metrics in Prometheus text form."""
    return generate_latest(REGISTRY).decode()


_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]*@", re.IGNORECASE)


def redact(text: str) -> str:
    """Hide user and password in every address of a text.

    >>> redact("open rtsp://admin:s3cret@10.0.0.7/1 failed")
    'open rtsp://***@10.0.0.7/1 failed'
    """
    return _CREDENTIALS.sub(r"\g<scheme>***@", text)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        body = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            body["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(body, ensure_ascii=False)


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure_logging(level: str = "INFO", *, json_lines: bool = False) -> None:
    """Log to standard error, credentials hidden. Calling it again replaces the former set-up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonLines() if json_lines else _Redacted("%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    )
    root = logging.getLogger("aihub")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
