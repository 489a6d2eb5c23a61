"""The gate's refusals: request errors first (400, 404, 422), then 403, 429, 402, 409; in a class the narrowest."""

from typing import Any

from common.errors import ProblemError
from orgs.rules.permissions import KeyIsLimited


class Denied(ProblemError):
    """The gate refused the call; nothing was held."""

    status = 403
    code = ""

    def __init__(
        self, detail: str | None = None, *, binding: "Binding | None" = None, **keywords: Any
    ) -> None:
        super().__init__(detail, **keywords)
        self.binding = binding


class Binding:
    """The layer that refused: what it is, its figures as they are shown, and the seconds to wait (None: for ever)."""

    __slots__ = ("budget_id", "figures", "rank", "requested", "scope", "version", "wait")

    def __init__(
        self,
        *,
        scope: str,
        rank: int,
        figures: dict[str, Any],
        requested: int,
        budget_id: Any = None,
        version: int = 0,
        wait: int | None = None,
    ) -> None:
        self.wait = wait
        self.scope = scope
        self.rank = rank
        self.figures = figures
        self.requested = requested
        self.budget_id = budget_id
        self.version = version


class BudgetExhausted(Denied):
    """A budget has too little left for this call until its window ends or its limit is raised."""

    status = 402
    code = "budget_exhausted"


class CreditExhausted(Denied):
    """The organization's available credit does not cover this call; top up, then repeat it under a new key."""

    status = 402
    code = "credit_exhausted"


class TooLarge(Denied):
    """The call alone asks for more than a budget's whole limit; ask for less or raise the limit."""

    status = 402
    code = "too_large"


class RunCeilingReached(Denied):
    """The run has used up a ceiling; end the run, or raise what `binding` names: its budget or its run policy."""

    status = 402
    code = "run_ceiling_reached"


class BudgetBusy(Denied):
    """Only money that is held by work in flight is in the way; it may be free again in a moment."""

    status = 409
    code = "budget_busy"
    retryable = True


class RateLimited(Denied):
    """A rate limit lets no more pass now; come again after `retry_after` seconds."""

    status = 429
    code = "rate_limited"
    retryable = True


class BackoffRequired(Denied):
    """This call comes too soon after the one before it; come again after `retry_after` seconds."""

    status = 429
    code = "backoff_required"
    retryable = True


class Paused(Denied):
    """Work here is paused until a person resumes it."""

    code = "paused"


class Blocked(Denied):
    """A kill switch is set here, or the run was stopped; a person decides whether work goes on."""

    code = "blocked"


class LoopDetected(Denied):
    """The run repeated itself and was stopped; look at the incident before you start another."""

    code = "loop_detected"


class AttemptsExceeded(Denied):
    """The step has had all the attempts that it may have; end it instead of trying again."""

    code = "attempts_exceeded"


class Suspended(Denied):
    """Invoices of this organization are overdue, and its work is suspended until they are paid."""

    code = "suspended"


class ApprovalRequired(Denied):
    """The budget has reached a level from which on a person must approve."""

    code = "approval_required"


class Archived(Denied):
    """The agent, workflow or connection is archived."""

    code = "archived"


class OrganizationClosed(Denied):
    """The organization is closed; it can make no new calls."""

    code = "organization_closed"


class NotPermitted(Denied, KeyIsLimited):
    """This API key may not act for this agent or over this connection."""

    code = "not_permitted"


class NotAmongCaps(NotPermitted):
    """A budget has reached a level from which on it allows only some models or tools, and this is none of them."""


class NotEntitled(NotPermitted):
    """The organization's plan, or its contract, does not allow this; `binding` names the feature and what it allows."""


class EstimateRequired(ProblemError):
    """There is no estimate and too little history to make one; send `estimate`."""

    status = 422
    code = "estimate_required"


class ReservationFinalized(ProblemError):
    """The reservation has ended already."""

    status = 409
    code = "reservation_finalized"


class TtlLimit(ProblemError):
    """A reservation lives at most 24 hours after its creation."""

    status = 422
    code = "ttl_limit"


class EventInFuture(ProblemError):
    """The event is dated more than 5 minutes ahead of the clock."""

    status = 400
    code = "event_in_future"


class UsageIdReused(ProblemError):
    """This (source, id) was recorded with another payload."""

    status = 422
    code = "usage_id_reused"
