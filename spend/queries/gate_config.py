"""What the gate knows of an organization without asking: subjects, budgets, prices, accounts; cached per process.

A cache is valid for one (config_epoch, price epoch) pair, which every batch reads with its locks. So a change of any
of these is seen by the next decision of every process (S42), and nothing is ever invalidated by a message. What is not
there yet raises Missing, and is then read by a connection beside the gate's own; while the organization's lock is held
nothing of it can change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from ledger.queries.accounts import account_ids, closed_until
from spend.queries.budgets import load_definitions
from spend.queries.gate_rules import Rules, load_rules
from spend.queries.prices import load_book_entry, load_organization_pricing
from spend.queries.splits import load_splits
from spend.rules.booking import Accounts
from spend.rules.budgets import BudgetDefinition
from spend.rules.plan import Places, Route, Valid
from spend.rules.prices import BookEntry
from spend.rules.rating import OrganizationPricing, PriceCard, price_card
from spend.rules.splits import Splits
from spend.rules.state import Run

MAX_RUNS = 4_096
MAX_PLACES = 4_096
MAX_SUBJECTS = 20_000
MAX_MODELS = 20_000
MAX_CARDS = 4_096
MAX_ORGANIZATIONS = 20_000
Load = Callable[[Cursor], None]


class Missing(Exception):
    """Something is not in the cache; `load` reads it into the cache."""

    def __init__(self, load: Load) -> None:
        self.load = load


class SubjectRow(NamedTuple):
    """An agent, team, workflow or connection as the gate needs it; `extra` is the agent's team or the billing, and
    `listing` what the agent is offered as."""

    id: str
    key: str
    archived: bool
    extra: str | None = None
    listing: str | None = None


SUBJECTS = {
    "agent": "SELECT id, key, archived_at IS NOT NULL, team_id::text, listing::text FROM agents",
    "team": "SELECT id, key, archived_at IS NOT NULL, NULL, NULL FROM teams",
    "workflow": "SELECT id, key, archived_at IS NOT NULL, NULL, NULL FROM workflows",
    "connection": "SELECT id, key, archived_at IS NOT NULL, billing, NULL FROM connections",
}


@dataclass(slots=True)
class GateConfig:
    """One organization's cached configuration; `subjects[kind]` maps keys and ids to rows, None for what is not there
    (at this epoch: whatever comes raises it). `clock_ahead` is how far its clock was before ours; `closed_until`: from
    when on its books are open; `splits`: who shares in its calls, by listing; `is_ordinary`: whether nothing but
    budgets over fixed windows, none of which stops a call beside its sum, has a say in its calls.
    """

    organization: str
    epochs: tuple[int, int]
    currency: str
    accounts: Accounts
    budgets: dict[str, list[BudgetDefinition]]
    pricing: OrganizationPricing
    rules: Rules = field(default_factory=Rules)
    subjects: dict[str, dict[str, SubjectRow | None]] = field(
        default_factory=lambda: {kind: {} for kind in SUBJECTS}
    )
    runs: dict[str, Run] = field(default_factory=dict)
    cards: dict[tuple[str, str] | None, tuple[datetime, PriceCard]] = field(default_factory=dict)
    routes: dict[tuple[str | None, ...], Route] = field(default_factory=dict)
    places: dict[tuple[str | None, ...], Places] = field(default_factory=dict)
    clock_ahead: timedelta = timedelta()
    closed_until: datetime | None = None
    splits: dict[str, Splits] = field(default_factory=dict)
    is_ordinary: bool = field(init=False)

    def __post_init__(self) -> None:
        budgets = [budget for of_scope in self.budgets.values() for budget in of_scope]
        self.is_ordinary = (
            self.rules.is_empty
            and not self.rules.switches
            and self.rules.standing is None
            and not any(budget.has_stops or budget.window_kind == "rolling" for budget in budgets)
        )

    def expected_now(self) -> datetime:
        """Return what the organization's clock will about say; only the locked row tells."""
        return datetime.now(UTC) + self.clock_ahead

    def subject(self, kind: str, name: str) -> SubjectRow:
        """Return a subject by key or id. Raises NotFound for what the organization does not have (S20), and Missing."""
        known = self.subjects[kind]
        if name not in known:
            raise Missing(lambda cur: load_subjects(cur, self, kind, (name,)))
        found = known[name]
        if found is None:
            raise NotFound(f"There is no {kind} {name!r} in this organization.", pointer=f"/subject/{kind}")
        return found

    def remember_run(self, run: Run) -> None:
        """Keep where a run stands in its tree (it never changes), at most MAX_RUNS of them."""
        if len(self.runs) >= MAX_RUNS:
            self.runs.pop(next(iter(self.runs)))
        self.runs[run.key] = run

    def remember_card(self, name: tuple[str, str] | None, at: datetime, card: PriceCard) -> None:
        """Keep the prices of a model as they are from a moment on, at most MAX_CARDS of them."""
        if len(self.cards) >= MAX_CARDS and name not in self.cards:
            self.cards.pop(next(iter(self.cards)))
        self.cards[name] = (at, card)

    def remember_places(self, key: tuple[str | None, ...], places: Places) -> None:
        """Keep what counts a call, at most MAX_PLACES of them."""
        if len(self.places) >= MAX_PLACES:
            self.places.pop(next(iter(self.places)))
        self.places[key] = places


class ConfigCache:
    """The configurations of a process's organizations and the price book's entries that they use."""

    def __init__(self) -> None:
        self._configs: dict[str, GateConfig] = {}
        self._entries: dict[tuple[str, str], BookEntry | None] = {}
        self._price_epoch = 0

    def peek(self, organization: str) -> GateConfig | None:
        """Return what is cached, which may be stale."""
        return self._configs.get(organization)

    def get(self, organization: str, *, epochs: tuple[int, int], currency: str) -> GateConfig:
        """Return the organization's configuration at these epochs. Raises Missing when the cached one is older."""
        if epochs[1] != self._price_epoch:
            self._entries, self._price_epoch = {}, epochs[1]
        config = self._configs.get(organization)
        if config is None or config.epochs != epochs:
            raise Missing(lambda cur: self._keep(_load(cur, organization, epochs, currency)))
        return config

    def card(
        self, config: GateConfig, provider: str | None, model: str | None, at: datetime
    ) -> tuple[Valid, PriceCard]:
        """Return every price of this organization for this model at this moment (without a model: tools only), and how
        long they hold. Raises Missing.
        """
        name = (provider, model) if provider is not None and model is not None else None
        known = config.cards.get(name)
        if known is not None and known[0] <= at and (known[1].until is None or at < known[1].until):
            return (known[0], known[1].until), known[1]
        entry = self.entry(*name) if name is not None else None
        card = price_card(entry, config.pricing, at, provider=provider, model=model)
        if known is None or at > known[0] or known[1].until == card.until:
            config.remember_card(name, at, card)
        return (at, card.until), card

    def entry(self, provider: str, model: str) -> BookEntry | None:
        """Return the price book's entry of a model, None when the book has none. Raises Missing."""
        name = (provider, model)
        # Another lane may put an empty one in its place meanwhile; what is read now belongs into this one.
        entries = self._entries
        if name not in entries:
            if (
                len(entries) >= MAX_MODELS
            ):  # callers may name what they like, and what is unknown is kept, too
                entries.clear()
            raise Missing(lambda cur: entries.__setitem__(name, load_book_entry(cur, provider, model)))
        return entries[name]

    def _keep(self, fresh: GateConfig) -> None:
        known = self._configs.get(fresh.organization)
        if known is not None:
            fresh.runs, fresh.clock_ahead = known.runs, known.clock_ahead
        elif len(self._configs) >= MAX_ORGANIZATIONS:
            self._configs.pop(next(iter(self._configs)))
        self._configs[fresh.organization] = fresh


def _load(cur: Cursor, name: str, epochs: tuple[int, int], currency: str) -> GateConfig:
    organization = UUID(name)
    by_scope: dict[str, list[BudgetDefinition]] = {}
    budgets = load_definitions(cur, organization)
    for budget in budgets:
        if budget.mode == "enforce":
            by_scope.setdefault(budget.scope, []).append(budget)
    return GateConfig(
        organization=name,
        epochs=epochs,
        currency=currency,
        accounts=accounts_of(account_ids(cur, organization=organization, currency=currency)),
        budgets=by_scope,
        pricing=load_organization_pricing(cur, organization, currency),
        rules=load_rules(cur, organization, budgets),
        closed_until=closed_until(cur, organization),
        splits=load_splits(cur, organization),
    )


def accounts_of(ids: Mapping[str, UUID]) -> Accounts:
    """Return the accounts that usage is posted to, of an organization's by kind."""
    return Accounts(
        credit=str(ids["customer_credit"]),
        line=str(ids["unbilled_receivable"]) if "unbilled_receivable" in ids else None,
        revenue=str(ids["revenue"]),
        platform_fee=str(ids["platform_fee"]),
        provider_cost=str(ids["provider_cost"]),
        provider_payable=str(ids["provider_payable"]),
        breakage=str(ids["breakage"]),
        promotional_expense=str(ids["promotional_expense"]),
    )


def load_subjects(cur: Cursor, config: GateConfig, kind: str, names: Iterable[str]) -> None:
    """Read the subjects of these keys or ids that are not cached yet; unknown ones are kept as None."""
    known = config.subjects[kind]
    if len(known) > MAX_SUBJECTS:
        known.clear()
    missing = [name for name in names if name not in known]
    if not missing:
        return
    cur.execute(
        SUBJECTS[kind] + " WHERE organization = %s AND (key = ANY(%s) OR id = ANY(%s))",
        (UUID(config.organization), missing, _ids(missing)),
    )
    for row in cur.fetchall():
        subject = SubjectRow(str(row[0]), *row[1:])
        known[subject.key] = known[subject.id] = subject
    for name in missing:
        known.setdefault(name, None)


def _ids(names: Sequence[str]) -> list[UUID]:
    found = []
    for name in names:
        if len(name) == 36 and name == name.lower():
            try:
                found.append(UUID(name))
            except ValueError:
                continue
    return found
