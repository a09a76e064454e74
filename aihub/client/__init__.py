"""Typed client of the hub's HTTP API, for code that waits and for asyncio.

with AihubClient("http://127.0.0.1:8000", key) as hub:
    answer = hub.infer("person-detection", Path("street.jpg"), {"confidence": 0.4})
    hub.add_stream("rtsp://user:secret@10.1.2.3/1", ["intrusion"])
    for step in hub.live():
        print(step.event.state, step.event.label)

async with AsyncAihubClient("http://127.0.0.1:8000", key) as hub:
    answer = await hub.infer("person-detection", Path("street.jpg"), {"confidence": 0.4})
    async for step in hub.live():
        print(step.event.state, step.event.label)

What fails raises the same `AihubError` classes that the hub raises inside. Calls that may be made twice are
tried again when the hub says "not now" or cannot be reached.
"""

from aihub.client.hub import AihubClient, AsyncAihubClient
from aihub.client.live_sound import LiveHeard
from aihub.client.models import AlgorithmAnswer, Heard, InferAnswer, LiveEvent, ManyAnswer, TranscriptPart
from aihub.client.refusals import HubUnreachableError
from aihub.types.accounts import AuditNote, NewKey, TenantInfo, UsageRow, UsageTotal
from aihub.types.answers import (
    AlgorithmDetail,
    AlgorithmInfo,
    Check,
    ErrorCode,
    Health,
    Key,
    Problem,
    Ready,
    Sink,
    Stream,
    StreamResult,
)
from aihub.types.capacity import CapacityPlan, PlanAsked, StreamGroup
from aihub.types.feedback import Feedback, KeptPicture, LabelledBox, Verdict
from aihub.types.galleries import GalleryInfo, SubjectInfo
from aihub.types.jobs import JobInfo, JobOutput, JobState, JobStep
from aihub.types.transcripts import SpeechModel, Transcription

__all__ = [
    "AihubClient",
    "AlgorithmAnswer",
    "AlgorithmDetail",
    "AlgorithmInfo",
    "AsyncAihubClient",
    "AuditNote",
    "CapacityPlan",
    "Check",
    "ErrorCode",
    "Feedback",
    "GalleryInfo",
    "Health",
    "Heard",
    "HubUnreachableError",
    "InferAnswer",
    "JobInfo",
    "JobOutput",
    "JobState",
    "JobStep",
    "KeptPicture",
    "Key",
    "LabelledBox",
    "LiveEvent",
    "LiveHeard",
    "ManyAnswer",
    "NewKey",
    "PlanAsked",
    "Problem",
    "Ready",
    "Sink",
    "SpeechModel",
    "Stream",
    "StreamGroup",
    "StreamResult",
    "SubjectInfo",
    "TenantInfo",
    "TranscriptPart",
    "Transcription",
    "UsageRow",
    "UsageTotal",
    "Verdict",
]  # fmt: skip
