"""Publishing what a customer is entitled to down to the gate, which obeys from its next decision on (S75, S79)."""

from __future__ import annotations

from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from common.errors import InvalidField, InvalidTransition, ProblemError
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact, time_text
from orgs.rules.rows import LockedOrganization
from spend.queries.entitled import count_agents, find_entitled
from spend.rules.entitled import Entitled, Value, obeyed

STREAM: Final = "entitlement"
LINES: Final = (None, "closed", "open")


class EntitlementReached(ProblemError):
    """The organization has as many of these as its plan or contract allows."""

    code = "entitlement_reached"
    status = 409


def publish_entitlement(cur: Cursor, *, organization: UUID, wanted: Entitled, author: Author) -> bool:
    """This function will say what a customer is entitled to, as far as the gate obeys it; whether that is new.

    The gate's next decision obeys, in every process. `line` closes the postpaid line, or opens it up to `credit_limit`
    units; None gives it back what the organization's own credit limit is. Reservations that are open commit, extend and
    release as ever, agents that are there stay, and nothing of what is held, granted or owed moves. Raises NotFound,
    InvalidField and InvalidTransition (the platform).
    """
    _check(wanted)
    locked = lock_organization(cur, organization)
    if locked.is_platform:
        raise InvalidTransition("The platform is entitled to nothing.")
    before, version = find_entitled(cur, organization)
    if wanted == before or (before is None and wanted.is_empty):
        return False
    data: dict[str, Any] = {
        "features": {
            name: {"value": _written(value), "source": wanted.sources[name]}
            for name, value in sorted(wanted.values.items())
        },
        "line": wanted.line,
        "credit_limit": wanted.credit_limit,
        "line_source": wanted.line_source,
        "next_at": time_text(wanted.next_at),
        "published_at": time_text(locked.now),
    }
    known = before or Entitled()
    if (wanted.line, wanted.credit_limit) != (known.line, known.credit_limit):
        data["ledger"] = {"line": {"line": wanted.line, "credit_limit": _limit(locked, wanted)}}
    stream = uuid5(NAMESPACE_OID, f"{STREAM}:{organization}")
    made = Fact(organization, STREAM, stream, version + 1, "published", data, locked.now)
    record(cur, [made], author=author)
    return True


def check_new_agent(cur: Cursor, organization: UUID) -> None:
    """This function will refuse an agent more than a customer is entitled to; those that it has stay. The caller holds
    the organization's lock. Raises EntitlementReached."""
    found, _ = find_entitled(cur, organization)
    most = None if found is None else found.values.get("max_agents")
    if found is None or type(most) is not int or count_agents(cur, organization) < most:
        return
    source = found.sources["max_agents"]
    raise EntitlementReached(
        f"{source} allows {most} agents that are not archived. Archive one, or choose a plan that allows more.",
        extra={"feature": "max_agents", "limit": most, "source": source},
    )


def _limit(locked: LockedOrganization, wanted: Entitled) -> int | None:
    if wanted.line == "closed":
        return 0
    return wanted.credit_limit if wanted.line == "open" else locked.credit_limit


def _check(wanted: Entitled) -> None:
    if wanted.line not in LINES or (wanted.line == "open") != (wanted.credit_limit is not None):
        raise InvalidField("A line is closed, or open up to a limit, or left alone.", pointer="/line")
    for name, value in wanted.values.items():
        if not obeyed(name, value) or name not in wanted.sources:
            raise InvalidField("The gate does not obey this.", pointer=f"/features/{name}")


def _written(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value
