"""What is kept for a time only, and goes then."""

from __future__ import annotations

from aihub.serve.usage import DAY_S
from aihub.settings import Settings
from aihub.storage.repository import Repository


def forget_the_old(repository: Repository, settings: Settings) -> None:
    """Forget a bounded number of events and notes of the audit that are past their time. To be called now and then.

    Jobs have files too and are forgotten where they run.

    Raises:
        StorageError: the database did not answer; what had gone by then is gone, and the rest goes next time.
    """
    repository.prune(older_than_s=settings.keep_events_days * DAY_S)
    if settings.audit_days:
        repository.prune_audit(days=settings.audit_days)
