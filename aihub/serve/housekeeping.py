"""What is kept for a time only, and goes then."""

from __future__ import annotations

import logging

from aihub.events.feedback_pictures import FeedbackPictures
from aihub.serve.usage import DAY_S
from aihub.settings import Settings
from aihub.storage.repository import Repository

logger = logging.getLogger(__name__)


def forget_the_old(repository: Repository, settings: Settings) -> None:
    """Forget a bounded number of events, feedback, enrolled faces and notes of the audit that are past their time. To be called now and then.

    Jobs have files too and are forgotten where they run.

    Raises:
        StorageError: the database did not answer; what had gone by then is gone, and the rest goes next time.
    """
    repository.prune(older_than_s=settings.keep_events_days * DAY_S)
    _forget_feedback(repository, settings)
    repository.expire_subjects()
    if settings.audit_days:
        repository.prune_audit(days=settings.audit_days)


def _forget_feedback(repository: Repository, settings: Settings) -> None:
    pictures = FeedbackPictures(settings.home)
    gone = repository.prune_feedback(older_than_s=settings.feedback_days * DAY_S)
    try:
        for feedback_id in gone:
            pictures.remove(feedback_id)
        pictures.sweep(repository.feedback_with_picture)
    except OSError as error:  # tried again next time, by the sweep: streams must not end for it
        logger.error("pictures of feedback cannot be removed: %s", error)  # noqa: TRY400
