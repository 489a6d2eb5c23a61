"""What a charge does to the books: what it burns, how it is posted, and the usage record that tells of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.ids import known_text, new_id_text
from ledger.rules import effects as ledger_effects
from ledger.rules.grants import GRANT_SOURCES, GrantSubject, settle
from spend.rules.admission import Receipt, fund
from spend.rules.commands import Commit, RecordUsage
from spend.rules.decide import told_measures
from spend.rules.effects import UsageRow
from spend.rules.explaining import rating_detail
from spend.rules.plan import Amounts, Plan
from spend.rules.splits import Shared, share_out
from spend.rules.state import OrganizationState

METERED = frozenset("iox")
"""Letters of figures that only meters count."""


@dataclass(slots=True)
class Burn:
    """What a charge took from where: the final receipt, and the amounts by account."""

    receipt: Receipt
    credit: int = 0
    line: int = 0
    debt: int = 0
    burned: list[list[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Accounts:
    """The ledger accounts that usage is posted to, as text ids."""

    credit: str
    line: str | None
    revenue: str
    provider_cost: str
    provider_payable: str
    breakage: str
    promotional_expense: str
    platform_fee: str = ""


def burn_charge(
    state: OrganizationState,
    receipt: Receipt,
    charge: int,
    subject: GrantSubject,
    *,
    at: datetime | None = None,
) -> Burn:
    """Move the books on by a charge: first what the receipt took, in its order, then live grants in theirs (S75), the
    line, and debt. The final receipt names the source of each part (S9). Grants are those that are live now, or `at`.
    """
    books = state.books
    source_of = {name: source for source, name, _ in receipt}
    grants_taken = [(name, amount) for source, name, amount in receipt if source in GRANT_SOURCES]
    burned: list[list[Any]] = [[grant, amount] for grant, amount in settle(grants_taken, charge)]
    rest: int = charge - sum(amount for _, amount in burned)
    line: int = min(rest, sum(amount for source, _, amount in receipt if source == "postpaid"))
    rest -= line
    take_from(books.grants, burned)
    if rest:
        more, _, _ = fund(books, rest, subject, at or state.now)
        source_of.update({name: source for source, name, _ in more})
        extra: list[list[Any]] = [[name, amount] for _, name, amount in more]
        take_from(books.grants, extra)
        burned = merged(burned, extra)
        rest -= sum(amount for _, amount in extra)
        if books.line is not None:  # a postpaid customer owes overage on the line, over its limit if need be
            line, rest = line + rest, 0
    credit = sum(amount for _, amount in burned)
    books.credit.posted -= credit + rest
    books.credit.debt += rest
    if books.line is not None:
        books.line.posted -= line
    final: Receipt = [[source_of[name], name, amount] for name, amount in burned]
    if line:
        final.append(["postpaid", None, line])
    if rest:
        final.append(["debt", None, rest])
    return Burn(final, credit, line, rest, burned)


def take_from(grants: list[Any], burned: list[list[Any]]) -> None:
    if burned:
        amounts = dict(burned)
        for grant in grants:
            grant.remaining -= amounts.get(grant.id, 0)


def merged(first: list[list[Any]], more: list[list[Any]]) -> list[list[Any]]:
    amounts: dict[str, int] = {}
    for name, amount in (*first, *more):
        amounts[name] = amounts.get(name, 0) + amount
    return [[name, amount] for name, amount in amounts.items()]


def post(
    state: OrganizationState,
    ledger: dict[str, Any],
    burn: Burn,
    accounts: Accounts,
    *,
    charge: int,
    cost: int,
    shared: Shared | None = None,
) -> None:
    """Add a charge's entry to the ledger's part of an event, and the provider's cost, where it is ours to pay.

    What is shared is no revenue: it is the partners' part, and what the platform keeps.
    """
    lines: list[list[Any]] = []
    if burn.credit + burn.debt:
        lines.append([accounts.credit, -(burn.credit + burn.debt)])
    if burn.line:
        lines.append([accounts.line, -burn.line])
    if charge and shared is None:
        lines.append([accounts.revenue, charge])
    elif shared is not None:
        kept = charge - shared.total
        lines += [[accounts.platform_fee, kept]] if kept else []
        lines += shared.by_account
    if cost:
        lines.append([accounts.provider_cost, -cost])
        lines.append([accounts.provider_payable, cost])
    if lines:
        entry = ledger_effects.entry(lines=lines, currency=state.currency)
        ledger["entries"] = [entry]
    if burn.burned:
        ledger["burned"] = burn.burned
    if burn.debt:
        ledger["debt"] = [[accounts.credit, burn.debt]]


def shared_of(state: OrganizationState, plan: Plan, burn: Burn) -> Shared | None:
    """Return what partners get of a charge, by the rule that is in effect now; None for a call of no listing."""
    if not plan.splits:
        return None
    splits = plan.splits.get(plan.listing or "")
    if splits is None:
        return None
    return share_out(splits, burn.receipt, state.books.grants, at=state.now)


def tell_shares(data: dict[str, Any], usage: UsageRow, plan: Plan, burn: Burn, shared: Shared | None) -> None:
    """Say in the event, and on the record, what partners get of a charge and by which rule (S98).

    What an organization that calls listings burns or owes is told of all its calls: repaid is the oldest first.
    """
    if plan.splits:
        data["shares"] = {"debt": burn.debt} if burn.debt else {}
    if shared is not None:
        data["shares"].update(shared.told(agent=usage.agent_id))
        usage.detail = {**(usage.detail or {}), "shares": shared.told()}


def spent_by(plan: Plan, measures: str) -> dict[str, int]:
    if not METERED.intersection(measures):
        return plan.amounts.by_letter()
    more = plan.amounts.by_meter()
    return {**plan.amounts.by_letter(), **{letter: more[letter] for letter in "iox"}}


def counted(numbers: list[int], measures: str) -> dict[str, Any]:
    told = told_measures(measures)
    return {"counters": numbers} if told is None else {"counters": numbers, "measures": told}


def booked(amounts: Amounts, measures: str = "") -> dict[str, int]:
    """Return the charge, the cost where it is another figure, and of the other figures those that are not 0."""
    others = {
        "input": amounts.input_tokens if "i" in measures or "o" in measures else 0,
        "tokens": amounts.tokens,
        "calls": amounts.tool_calls,
        "credits": amounts.credits,
        "risk_points": amounts.risk_points,
    }
    return {
        "charge": amounts.charge,
        **({"cost": amounts.cost} if amounts.cost != amounts.charge else {}),
        **{name: amount for name, amount in others.items() if amount},
    }


def of_run(run: str | None) -> dict[str, str]:
    return {} if run is None else {"run": run}


def usage_row(
    state: OrganizationState,
    command: Commit | RecordUsage,
    plan: Plan,
    burn: Burn,
    agent: str,
    team: str | None,
    workflow: str | None,
    connection: str | None,
    run: str | None,
    user: str | None,
    action: dict[str, Any],
    own_key: bool,
) -> UsageRow:
    rated, used = plan.rated, plan.usage
    assert rated is not None
    row = UsageRow(
        organization=state.id, id=new_id_text(), occurred_at=state.now, currency=state.currency,
        outcome=command.outcome,
        cost=rated.cost_units, charge=rated.charge_units, funding=burn.receipt, agent_id=agent, team_id=team,
        workflow_id=workflow, connection_id=connection, run_id=run, root_run_id=None, user_label=user, action=action,
        price_version=None if rated.price_version is None else known_text(rated.price_version),
        fx_rate=None if rated.fx_rate is None else str(rated.fx_rate), latency_ms=command.actual.latency_ms,
        response_id=command.actual.response_id, reason=command.actual.reason, raw=command.actual.raw,
        detail=usage_detail(plan, command, own_key),
    )  # fmt: skip
    if used is not None:
        row.input_tokens = used.input_tokens
        row.cache_read_input_tokens = used.cache_read_input_tokens
        row.cache_creation_input_tokens = used.cache_creation_input_tokens
        row.output_tokens = used.output_tokens
        row.reasoning_output_tokens = used.reasoning_output_tokens
        row.tool_calls = sum(use.calls for use in used.tool_calls)
    return row


def usage_detail(plan: Plan, command: Commit | RecordUsage, own_key: bool) -> dict[str, Any]:
    """Return what cost and charge are worked out again from (S6), and the calls of each tool."""
    rated, used = plan.rated, plan.usage
    assert rated is not None
    detail = rating_detail(rated, amount_units=command.actual.amount, own_key=own_key)
    if used is not None and used.tool_calls:
        detail["tools"] = {use.name: use.calls for use in used.tool_calls}
    return detail
