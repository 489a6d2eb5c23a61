"""The rate limits that the thresholds of budgets name."""

from collections.abc import Sequence
from uuid import UUID

from common.errors import InvalidTransition, NotFound, ProblemError
from events.store import Cursor
from spend.operations.targets import Target
from spend.queries.ratenames import find_limits
from spend.rules.budgets import Threshold


class RateLimitMismatch(ProblemError):
    """A threshold lowers a rate limit of its budget's own scope and target."""

    code = "rate_limit_mismatch"
    status = 422


def check_rates(
    cur: Cursor, organization: UUID, thresholds: Sequence[Threshold], *, scope: str, target: Target
) -> None:
    """Refuse thresholds that lower a rate limit which is not there, is archived, or is another target's.

    Of another target it would not judge the calls that the budget counts. Raises NotFound, InvalidTransition and
    RateLimitMismatch, naming the place.
    """
    named = {str(t.rate_limit) for t in thresholds if t.rate_limit is not None}
    if not named:
        return
    found = find_limits(cur, organization=organization, limits=[UUID(name) for name in named])
    for index, threshold in enumerate(thresholds):
        if threshold.rate_limit is None:
            continue
        pointer = f"/thresholds/{index}/rate_limit"
        limit = found.get(UUID(threshold.rate_limit))
        if limit is None:
            raise NotFound("There is no such rate limit.", pointer=pointer)
        if limit.archived:
            raise InvalidTransition("The rate limit is archived.", pointer=pointer)
        if (limit.scope, limit.target_id, limit.target_label) != (scope, target.id, target.label):
            raise RateLimitMismatch(pointer=pointer)
