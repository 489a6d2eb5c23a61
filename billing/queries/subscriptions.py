"""Subscriptions, their metered periods and their history."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from billing.queries.plans import versions_of
from billing.rules.subscriptions.allowances import Left, Running, still_running
from billing.rules.subscriptions.counting import Window
from billing.rules.subscriptions.couponing import held
from billing.rules.subscriptions.decision import STREAM
from billing.rules.subscriptions.row import Subscription
from billing.rules.subscriptions.states import STATES
from billing.rules.subscriptions.writing import read_subscription
from common.errors import NotFound
from events.store import Cursor
from ledger.queries.balances import find_grants
from ledger.rules.grants import Grant

STATUSES: Final = STATES
# As one JSON text, so that a row and an event are read by the same code on any connection.
_READ: Final = "SELECT row_to_json(s)::text FROM subscriptions s"
_DUE: Final = f"""
{_READ} WHERE s.organization = %s AND s.next_at <= %s ORDER BY s.next_at, s.id LIMIT 1
"""
_OTHERS: Final = f"""
{_READ} WHERE s.organization = %s AND s.id IS DISTINCT FROM %s::uuid AND EXISTS (
    SELECT FROM jsonb_array_elements(s.allowances) AS a WHERE (a->>'end')::timestamptz > %s)
"""
# Of the events: the row knows the present plan only, and a plan that was left was tried all the same.
_TRIED: Final = """
SELECT EXISTS (SELECT FROM subscriptions s JOIN events e ON e.stream_id = s.id AND e.organization = s.organization
    WHERE s.organization = %(organization)s AND s.id IS DISTINCT FROM %(besides)s::uuid
        AND e.stream_type = %(stream)s AND e.data->>'plan' = %(plan)s::text
        AND e.data->>'status' IN ('scheduled', 'trialing') AND (e.data->>'trial_days')::int > 0)
"""
_HAD_COUPON: Final = """
SELECT EXISTS (SELECT FROM coupon_redemptions r JOIN subscriptions s ON s.id = r.subscription_id
    WHERE r.organization = %s AND r.coupon_id = %s AND (%s OR s.ended_at IS NOT NULL))
"""
METERED_COLUMNS: Final = """
id, organization, subscription, charge_key, meter, plan_version, start_at, end_at, created_at, invoice_id, line,
window_start, window_end, "interval", share, ahead, agreed::text
"""
_METERED: Final = f"SELECT {METERED_COLUMNS} FROM metered_periods"
_WINDOWS: Final = """
SELECT DISTINCT meter, "interval", window_start, window_end FROM metered_periods
WHERE organization = %s AND window_end > %s
"""
_HISTORY: Final = """
SELECT version, type, occurred_at, recorded_at, actor, data::text FROM events
WHERE organization = %(organization)s AND stream_type = %(stream)s AND stream_id = %(subscription)s
    AND (%(before)s::int IS NULL OR version < %(before)s)
ORDER BY version DESC LIMIT %(limit)s
"""


class MeteredRow(NamedTuple):
    """A metered period: `invoice_id` None while it waits for an invoice to rate it. `agreed`: the price of a contract
    that it is rated at, as JSON; None: at the plan's."""

    id: UUID
    organization: UUID
    subscription: UUID
    charge_key: str
    meter: str
    plan_version: UUID
    start_at: datetime
    end_at: datetime
    created_at: datetime
    invoice_id: UUID | None
    line: int | None
    window_start: datetime
    window_end: datetime
    interval: str
    share: str
    ahead: str
    agreed: str | None


class HistoryRow(NamedTuple):
    """What happened to a subscription: an event with its data."""

    version: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    data: dict[str, Any]


def find_subscription(cur: Cursor, *, organization: UUID, subscription: UUID) -> Subscription:
    """Return a subscription of the organization. Raises NotFound."""
    row = cur.execute(
        f"{_READ} WHERE s.organization = %s AND s.id = %s", (organization, subscription)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such subscription.")
    return _row(row)


def organization_of_subscription(cur: Cursor, subscription: UUID) -> UUID:
    """Return whose subscription this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM subscriptions WHERE id = %s", (subscription,)).fetchone()
    if row is None:
        raise NotFound("There is no such subscription.")
    owner: UUID = row[0]
    return owner


def list_subscriptions(
    cur: Cursor, *, organization: UUID, status: str | None, before: UUID | None, limit: int
) -> list[Subscription]:
    """Return up to `limit` subscriptions, newest first, made before `before`."""
    statement = f"{_READ} WHERE s.organization = %(organization)s"
    if status is not None:
        statement += " AND s.status = %(status)s"
    if before is not None:
        statement += " AND s.id < %(before)s"
    values = {"organization": organization, "status": status, "before": before, "limit": limit}
    cur.execute(statement + " ORDER BY s.id DESC LIMIT %(limit)s", values)
    return [_row(row) for row in cur.fetchall()]


def subscriptions_of(cur: Cursor, *, organization: UUID) -> list[Subscription]:
    """Return the organization's subscriptions that have not ended, oldest first."""
    cur.execute(f"{_READ} WHERE s.organization = %s AND s.ended_at IS NULL ORDER BY s.id", (organization,))
    return [_row(row) for row in cur.fetchall()]


def next_due(cur: Cursor, *, organization: UUID, until: datetime) -> Subscription | None:
    """Return the subscription whose boundary is the earliest up to and at `until`."""
    row = cur.execute(_DUE, (organization, until)).fetchone()
    return None if row is None else _row(row)


def running_promotions(
    cur: Cursor, *, organization: UUID, at: datetime, besides: UUID | None = None
) -> list[Running]:
    """Return the promotional credit that the organization's subscriptions, ended ones included, `besides` this one were
    granted and that is good beyond `at`: another does not bring it again for the same time."""
    rows = cur.execute(_OTHERS, (organization, besides, at)).fetchall()
    return [one for row in rows for one in still_running(_row(row).allowances, at)]


def had_trial(cur: Cursor, *, organization: UUID, plan: UUID, besides: UUID | None = None) -> bool:
    """Whether the organization tried this plan before, or is about to: with any subscription `besides` this one."""
    asked = {"organization": organization, "plan": str(plan), "besides": besides, "stream": STREAM}
    return cur.execute(_TRIED, asked).fetchone() == (True,)


def had_coupon(cur: Cursor, *, organization: UUID, coupon: UUID, has_it: bool = False) -> bool:
    """Whether a subscription of the organization that has ended had this coupon; with `has_it` also a live one has."""
    return cur.execute(_HAD_COUPON, (organization, coupon, has_it)).fetchone() == (True,)


def what_is_left(cur: Cursor, row: Subscription, *, debt: int) -> dict[UUID, Left]:
    """Return what is left of the grants of a subscription's plan. `debt` (units) is owed first, so that much is free of
    none of them."""
    names = [one.grant for one in row.allowances if one.grant is not None and not one.closed]
    if not names:
        return {}
    found, owed = {}, debt
    for grant in (item.grant for item in find_grants(cur, organization=row.organization, grants=names)):
        free = _free(grant)
        found[grant.id] = Left(grant.remaining, max(free - owed, 0))
        owed = max(owed - free, 0)
    return found


def coupons_holding(cur: Cursor, *, organization: UUID, subscription: UUID, start: datetime) -> list[UUID]:
    """Return the redemptions that lower what a subscription is billed for a time from `start` on, in their order: what
    an item's invoice has to take off. Raises NotFound."""
    row = find_subscription(cur, organization=organization, subscription=subscription)
    return [one.id for one in held(row.coupons, start=start)]


def open_metered_periods(
    cur: Cursor, *, organization: UUID, until: datetime | None = None
) -> list[MeteredRow]:
    """Return the metered periods that ended by `until` and are on no invoice, in order of time."""
    statement = _METERED + " WHERE organization = %(organization)s AND invoice_id IS NULL"
    if until is not None:
        statement += " AND end_at <= %(until)s"
    cur.execute(statement + " ORDER BY end_at, start_at, id", {"organization": organization, "until": until})
    return [MeteredRow(*row) for row in cur.fetchall()]


def has_metered_periods(cur: Cursor, *, organization: UUID) -> bool:
    """Whether the organization ever had a metered charge: most have none, and need not be asked more."""
    cur.execute("SELECT EXISTS (SELECT FROM metered_periods WHERE organization = %s)", (organization,))
    return cur.fetchone() == (True,)


def find_metered_period(cur: Cursor, period: UUID) -> MeteredRow:
    """Return a metered period. Raises NotFound."""
    row = cur.execute(f"{_METERED} WHERE id = %s", (period,)).fetchone()
    if row is None:
        raise NotFound("There is no such metered period.")
    return MeteredRow(*row)


def parts_of_window(cur: Cursor, row: MeteredRow) -> list[MeteredRow]:
    """Return the metered periods of a meter that are counted in the same window as one, in order of time."""
    cur.execute(
        f"{_METERED} WHERE organization = %s AND meter = %s AND window_start = %s AND window_end = %s"
        ' AND "interval" = %s ORDER BY start_at, id',
        (row.organization, row.meter, row.window_start, row.window_end, row.interval),
    )
    return [MeteredRow(*each) for each in cur.fetchall()]


def running_windows(cur: Cursor, *, organization: UUID, after: datetime) -> list[Window]:
    """Return the windows in which the organization's meters were counted and that end after a moment."""
    return [Window(*row) for row in cur.execute(_WINDOWS, (organization, after)).fetchall()]


def history_of(
    cur: Cursor, *, organization: UUID, subscription: UUID, before: int | None, limit: int
) -> list[HistoryRow]:
    """Return up to `limit` events of a subscription, newest first, with a version below `before`."""
    cur.execute(
        _HISTORY,
        {
            "organization": organization,
            "stream": STREAM,
            "subscription": subscription,
            "before": before,
            "limit": limit,
        },
    )
    return [HistoryRow._make((*row[:5], json.loads(row[5]))) for row in cur.fetchall()]


def funding_words(cur: Cursor, versions: Iterable[UUID]) -> dict[UUID, str]:
    """Return what plan versions say of use that no credit covers, by their id."""
    return {name: version.terms.funding for name, version in versions_of(cur, versions).items()}


def plan_names(cur: Cursor, versions: Iterable[UUID]) -> dict[UUID, tuple[str, int]]:
    """Return key and number of plan versions by their id."""
    cur.execute(
        "SELECT id, plan_key, number FROM plan_versions WHERE id = ANY(%s::uuid[])", (list(versions),)
    )
    return {row[0]: (row[1], row[2]) for row in cur.fetchall()}


def _free(grant: Grant) -> int:
    return 0 if grant.expired_at is not None else grant.remaining - grant.held


def _row(row: tuple[Any, ...]) -> Subscription:
    return read_subscription(json.loads(row[0]))
