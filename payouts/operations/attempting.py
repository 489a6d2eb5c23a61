"""What is done of one subject after the other: what stands in one's way is reported, and stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

logger = logging.getLogger(__name__)


def attempted(operation: Callable[[], int], *, subject: UUID) -> int:
    """This function will do something of one subject and return what that returned, 0 where it failed: then it is
    reported, is as it was, and is due again."""
    try:
        return operation()
    except Exception as error:
        logger.warning("payouts.failed", exc_info=error, extra={"subject": str(subject)})
        return 0
