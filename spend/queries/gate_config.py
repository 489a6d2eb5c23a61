"""What the gate knows of an organization without asking: subjects, budgets, prices, accounts; cached per process.

A cache is valid for one (config_epoch, price epoch) pair, which every batch reads with its locks. So a change of any
of these is seen by the next decision of every process (S42), and nothing is ever invalidated by a message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from common.errors import NotFound
from events.store import Cursor
from ledger.queries.accounts import account_ids
from spend.queries.budgets import load_definitions
from spend.queries.prices import load_book_entry, load_organization_pricing
from spend.rules.budgets import BudgetDefinition
from spend.rules.prices import BookEntry
from spend.rules.rating import OrganizationPricing, PriceCard, price_card
from spend.rules.state import Run

MAX_RUNS = 4_096
MAX_ORGANIZATIONS = 20_000


class SubjectRow(NamedTuple):
    """An agent, team, workflow or connection as the gate needs it; `extra` is the agent's team or the billing."""

    id: UUID
    key: str
    archived: bool
    extra: UUID | str | None = None


SUBJECTS = {
    "agent": "SELECT id, key, archived_at IS NOT NULL, team_id FROM agents",
    "team": "SELECT id, key, archived_at IS NOT NULL, NULL FROM teams",
    "workflow": "SELECT id, key, archived_at IS NOT NULL, NULL FROM workflows",
    "connection": "SELECT id, key, archived_at IS NOT NULL, billing FROM connections",
}


@dataclass(slots=True)
class GateConfig:
    """One organization's cached configuration; `subjects[kind]` maps keys and ids (as text) to rows."""

    organization: UUID
    epochs: tuple[int, int]
    currency: str
    zone: ZoneInfo
    accounts: dict[str, UUID]
    budgets: dict[str, list[BudgetDefinition]]
    pricing: OrganizationPricing
    subjects: dict[str, dict[str, SubjectRow]] = field(
        default_factory=lambda: {kind: {} for kind in SUBJECTS}
    )
    runs: dict[str, Run] = field(default_factory=dict)
    cards: dict[tuple[str, str] | None, tuple[datetime, PriceCard]] = field(default_factory=dict)

    def team(self, cur: Cursor, team_id: UUID | None) -> SubjectRow | None:
        """Return the row of a team by its id, read when it is not cached."""
        if team_id is None:
            return None
        if str(team_id) not in self.subjects["team"]:
            load_subjects(cur, self, "team", [str(team_id)])
        return self.subjects["team"].get(str(team_id))

    def remember_run(self, run: Run) -> None:
        """Keep where a run stands in its tree (it never changes), at most MAX_RUNS of them."""
        if len(self.runs) >= MAX_RUNS:
            self.runs.pop(next(iter(self.runs)))
        self.runs[run.key] = run


class ConfigCache:
    """The configurations of a process's organizations and the price book's entries that they use."""

    def __init__(self) -> None:
        self._configs: dict[UUID, GateConfig] = {}
        self._entries: dict[tuple[str, str], BookEntry | None] = {}
        self._price_epoch = 0

    def get(
        self, cur: Cursor, organization: UUID, *, epochs: tuple[int, int], currency: str, time_zone: str
    ) -> GateConfig:
        """Return the organization's configuration at these epochs, read anew when the cached one is older."""
        if epochs[1] != self._price_epoch:
            self._entries, self._price_epoch = {}, epochs[1]
        config = self._configs.get(organization)
        if config is None or config.epochs != epochs:
            fresh = self._load(cur, organization, epochs, currency, time_zone)
            if config is not None:
                fresh.runs = config.runs
            elif len(self._configs) >= MAX_ORGANIZATIONS:
                self._configs.pop(next(iter(self._configs)))
            config = self._configs[organization] = fresh
        return config

    def card(
        self, cur: Cursor, config: GateConfig, provider: str | None, model: str | None, at: datetime
    ) -> PriceCard:
        """Return every price of this organization for this model at this moment (without a model: tools only)."""
        name = (provider, model) if provider is not None and model is not None else None
        known = config.cards.get(name)
        if known is not None and known[0] <= at and (known[1].until is None or at < known[1].until):
            return known[1]
        entry = self._entry(cur, name) if name is not None else None
        card = price_card(entry, config.pricing, at, provider=provider, model=model)
        if known is None or at > known[0] or known[1].until == card.until:
            config.cards[name] = (at, card)
        return card

    def entry(self, cur: Cursor, provider: str, model: str) -> BookEntry | None:
        """Return the price book's entry of a model, None when the book has none."""
        return self._entry(cur, (provider, model))

    def _entry(self, cur: Cursor, name: tuple[str, str]) -> BookEntry | None:
        # Another thread may put an empty one in its place meanwhile; what is read now belongs into this one.
        entries = self._entries
        if name not in entries:
            entries[name] = load_book_entry(cur, name[0], name[1])
        return entries[name]

    def _load(
        self, cur: Cursor, organization: UUID, epochs: tuple[int, int], currency: str, time_zone: str
    ) -> GateConfig:
        by_scope: dict[str, list[BudgetDefinition]] = {}
        for budget in load_definitions(cur, organization):
            if budget.mode == "enforce":
                by_scope.setdefault(budget.scope, []).append(budget)
        return GateConfig(
            organization=organization,
            epochs=epochs,
            currency=currency,
            zone=ZoneInfo(time_zone),
            accounts=account_ids(cur, organization=organization, currency=currency),
            budgets=by_scope,
            pricing=load_organization_pricing(cur, organization, currency),
        )


def load_subjects(cur: Cursor, config: GateConfig, kind: str, names: Iterable[str]) -> None:
    """Read the subjects of these keys or ids that are not cached yet; unknown ones stay out (they may come later)."""
    known = config.subjects[kind]
    missing = [name for name in names if name not in known]
    if not missing:
        return
    cur.execute(
        SUBJECTS[kind] + " WHERE organization = %s AND (key = ANY(%s) OR id = ANY(%s))",
        (config.organization, missing, _ids(missing)),
    )
    for row in cur.fetchall():
        subject = SubjectRow(row[0], row[1], row[2], row[3])
        known[row[1]] = known[str(row[0])] = subject


def find_subject(config: GateConfig, kind: str, name: str) -> SubjectRow:
    """Return a subject by key or id. Raises NotFound for what the organization does not have (S20)."""
    found = config.subjects[kind].get(name)
    if found is None:
        raise NotFound(f"There is no {kind} {name!r} in this organization.", pointer=f"/subject/{kind}")
    return found


def _ids(names: Sequence[str]) -> list[UUID]:
    found = []
    for name in names:
        if len(name) == 36 and name == name.lower():
            try:
                found.append(UUID(name))
            except ValueError:
                continue
    return found
