"""Every error the hub raises on purpose.

    AihubError(message, hint=)            code = slug of the class, stable
    ├─ ConfigError                        a file or setting is wrong; carries where
    │   ├─ CardError                      a model or algorithm card is wrong
    │   └─ CostsMissingError              nothing to plan with; says the command that measures it
    ├─ NotFoundError                      a name nobody knows; suggests the nearest
    │   ├─ AlgorithmNotFoundError
    │   ├─ ScenarioNotFoundError
    │   ├─ ModelNotFoundError
    │   ├─ StreamNotFoundError
    │   └─ EventNotFoundError
    ├─ InputError                         what the caller sent is wrong; names the field
    │   ├─ ImageDecodeError
    │   ├─ SoundDecodeError
    │   ├─ ParamsError
    │   ├─ TooLargeError
    │   ├─ UnsupportedTypeError
    │   ├─ AddressError                   an address the hub must not connect to
    │   └─ FetchError                     an address that gave no picture
    ├─ AccessError                        who are you, and may you
    │   ├─ UnauthorizedError
    │   └─ ForbiddenError
    ├─ ConflictError                      the thing changed, or exists already
    ├─ NotSupportedError                  a part of a protocol that is not done here
    ├─ ModelError                         weights or their graph
    │   ├─ ArtifactError                  missing, or not what its digest says
    │   ├─ WeightsMissingError            needs-weights; says the command that brings them
    │   ├─ LicenseError
    │   ├─ SessionError
    │   └─ DecodeError
    ├─ CapacityError                      not now; retry_after_s says when
    │   ├─ QueueFullError
    │   ├─ RateLimitError
    │   ├─ MemoryBudgetError
    │   └─ DeadlineError
    ├─ StreamError                        a camera's fault; `retryable` decides back-off or stop
    │   ├─ ConnectError, AuthError, StreamMissingError, StallError, FormatError
    ├─ StorageError                       the database did not answer in time
    ├─ DiskFullError                      no room for a file
    └─ DeliveryError                      a sink failed; the event is kept for retry

The HTTP status of each is decided in `aihub.serve`, so nothing here knows a web framework.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import ClassVar


class AihubError(Exception):
    """Base of all. `hint` says what to do about it; `field` names the offending input, if one is."""

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    @property
    def code(self) -> str:
        """Stable slug of the class: `ImageDecodeError` -> `image-decode`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__.removesuffix("Error")).lower()

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(AihubError):
    """A file or setting is wrong."""


class CardError(ConfigError):
    """A model or algorithm card is wrong; `where` is `file:line` or `file`."""

    def __init__(
        self, message: str, *, where: str = "", hint: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint, field=field)
        self.where = where


class CostsMissingError(ConfigError):
    """What things cost has not been measured on this machine."""


class NotFoundError(AihubError):
    """A name nobody knows."""

    kind: ClassVar[str] = "thing"

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        super().__init__(
            f"no {self.kind} named {name!r}", hint=f"did you mean {near[0]!r}?" if near else None
        )
        self.name = name


class AlgorithmNotFoundError(NotFoundError):
    """No algorithm of that id."""

    kind = "algorithm"


class ScenarioNotFoundError(NotFoundError):
    """No scenario of that id."""

    kind = "scenario"


class ModelNotFoundError(NotFoundError):
    """No model of that name or role."""

    kind = "model"


class StreamNotFoundError(NotFoundError):
    """No stream of that id, or not yours."""

    kind = "stream"


class EventNotFoundError(NotFoundError):
    """No event of that id, or not yours."""

    kind = "event"


class GalleryNotFoundError(NotFoundError):
    """No gallery of that name, or not yours."""

    kind = "gallery"


class InputError(AihubError):
    """What the caller sent is wrong."""


class ImageDecodeError(InputError):
    """The bytes are not a picture that can be read whole."""


class SoundDecodeError(InputError):
    """The bytes are not a recording that can be read whole."""


class ParamsError(InputError):
    """A parameter is unknown, of the wrong type or out of range; `field` names it."""


class TooLargeError(InputError):
    """More bytes, pixels, seconds or items than allowed."""


class UnsupportedTypeError(InputError):
    """A content type or format the hub does not read."""


class AddressError(InputError):
    """An address the hub must not connect to."""


class FetchError(InputError):
    """Nothing that can be used came from an address that the caller named."""


class AccessError(AihubError):
    """The caller may not."""


class UnauthorizedError(AccessError):
    """No key, or not a valid one."""


class ForbiddenError(AccessError):
    """The key lacks the scope or grant."""


class ConflictError(AihubError):
    """The thing exists already or has changed meanwhile."""


class NotSupportedError(AihubError):
    """A part of a protocol that this hub does not do."""


class ModelError(AihubError):
    """Something is wrong with a model."""


class ArtifactError(ModelError):
    """The file is missing or is not what its digest says."""


class WeightsMissingError(ModelError):
    """The card is fine, the weights are not here; the hint is the command that brings them."""


class LicenseError(ModelError):
    """The licence of the weights is not allowed here."""


class SessionError(ModelError):
    """The runtime refused the graph or failed while running it."""


class DecodeError(ModelError):
    """The outputs do not have the form the decoder needs."""


class CapacityError(AihubError):
    """Not now."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class QueueFullError(CapacityError):
    """The model's queue is at its bound."""


class RateLimitError(CapacityError):
    """The caller's rate or quota is used up."""


class MemoryBudgetError(CapacityError):
    """The model does not fit and nothing can be evicted."""


class DeadlineError(CapacityError):
    """The work was not started before its deadline."""


class StreamError(AihubError):
    """A camera's fault."""

    retryable: ClassVar[bool] = True


class ConnectError(StreamError):
    """Refused, unreachable or silent."""


class AuthError(StreamError):
    """Wrong user or password. Retried slowly: cameras lock accounts that knock too often."""


class StreamMissingError(StreamError):
    """The server answers 404 for that path."""


class StallError(StreamError):
    """It was live and frames stopped."""


class FormatError(StreamError):
    """No video in it, or a codec that cannot be read."""


class StorageError(AihubError):
    """The database did not answer in time."""


class DiskFullError(AihubError):
    """The disk of the hub has no room for a file."""


class DeliveryError(AihubError):
    """A sink failed; the event is kept and tried again. `retryable` False sends it to the dead letters."""

    def __init__(self, message: str, *, retryable: bool = True, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
