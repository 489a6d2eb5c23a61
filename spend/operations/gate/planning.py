"""From a parsed command to a plan: subjects, prices and budgets looked up in the caches of the organization."""

from datetime import datetime, timedelta
from uuid import UUID

from common.errors import CurrencyMismatch, ProblemError
from common.ids import new_id
from events.store import Cursor
from ledger.rules.grants import GrantSubject
from spend.queries.estimates import estimate_from_history
from spend.queries.gate_config import ConfigCache, GateConfig, find_subject
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Actual, Caller, Commit, Estimate, RecordUsage, Reserve, Subject
from spend.rules.denials import EstimateRequired, EventInFuture
from spend.rules.normalise import normalise
from spend.rules.plan import Amounts, LayerPlace, Plan, Who
from spend.rules.rating import NO_USAGE, PriceCard, Rated, Usage, estimate, rate
from spend.rules.state import OrganizationState, Reservation, Run
from spend.rules.windows import first_bucket_at, window_at

MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(minutes=5)


class Planner:
    """Plans the commands of one organization in one batch; runs that several commands name are shared."""

    def __init__(self, cur: Cursor, cache: ConfigCache, config: GateConfig, state: OrganizationState) -> None:
        self.cur, self.cache, self.config, self.state = cur, cache, config, state

    def reserve(self, command: Reserve) -> Plan:
        """Plan a reservation. A request error becomes the plan's error."""
        plan = Plan()
        try:
            self._check_currency(command.currency)
            plan.who = self._who(command.subject, command.caller)
            plan.rated, plan.amounts = self._estimated(command, plan.who)
            plan.places = self.places(plan.who, self.state.now)
        except ProblemError as error:
            plan.error = error
        return plan

    def commit(self, command: Commit, reservation: Reservation) -> Plan:
        """Plan a commit at the prices that held when the reservation was made."""
        plan = Plan()
        action = reservation.action
        try:
            provider, model = action.get("provider"), action.get("model")
            plan.usage = _usage(command.actual, provider)
            card = self.card(provider, model, reservation.created_at)
            plan.rated = rate(
                plan.usage, card, amount_units=command.actual.amount, own_key=reservation.own_key
            )
            plan.amounts = _amounts(plan.rated, plan.usage, command.actual)
        except ProblemError as error:
            plan.error = error
        return plan

    def usage(self, command: RecordUsage) -> Plan:
        """Plan a fact after the event, under the budgets and prices of the time when it happened."""
        plan = Plan()
        try:
            if command.occurred_at > self.state.now + MAX_AHEAD:
                raise EventInFuture(pointer="/occurred_at")
            self._check_currency(command.currency)
            plan.who = self._who(command.subject, command.caller)
            action = command.action
            plan.usage = _usage(command.actual, action.provider)
            card = self.card(action.provider, action.model, command.occurred_at)
            plan.rated = rate(plan.usage, card, amount_units=command.actual.amount, own_key=plan.who.own_key)
            plan.amounts = _amounts(plan.rated, plan.usage, command.actual)
            plan.adjustment = command.occurred_at < self.state.now - MAX_AGE
            plan.places = self.places(plan.who, self.state.now if plan.adjustment else command.occurred_at)
        except ProblemError as error:
            plan.error = error
        return plan

    def _check_currency(self, currency: str) -> None:
        if currency and currency != self.config.currency:
            raise CurrencyMismatch(
                f"The organization's currency is {self.config.currency}.", pointer="/currency"
            )

    def card(self, provider: str | None, model: str | None, at: datetime) -> PriceCard:
        """Return the prices of a model for this organization at a moment."""
        return self.cache.card(self.cur, self.config, provider, model, at)

    def _who(self, subject: Subject, caller: Caller) -> Who:
        agent = find_subject(self.config, "agent", subject.agent)
        team_id = agent.extra if isinstance(agent.extra, UUID) else None
        if subject.team is not None:  # must exist (S20); the agent's own team is the one that counts (S23)
            named = find_subject(self.config, "team", subject.team)
            team_id = named.id if team_id is None else team_id
        team = self.config.team(self.cur, team_id)
        workflow = find_subject(self.config, "workflow", subject.workflow) if subject.workflow else None
        connection = (
            find_subject(self.config, "connection", subject.connection) if subject.connection else None
        )
        parent, run = self._runs(subject)
        who = Who(
            agent_id=agent.id,
            team_id=team_id,
            workflow_id=workflow.id if workflow else None,
            connection_id=connection.id if connection else None,
            own_key=connection is not None and connection.extra == "own_key",
            agent_key=agent.key,
            team_key=team.key if team else None,
            workflow_key=workflow.key if workflow else None,
            connection_key=connection.key if connection else None,
            user=subject.user,
            run=run,
            parent=parent,
            grants=GrantSubject(team=team_id, agent=agent.id, workflow=workflow.id if workflow else None),
        )
        for kind, row in (("agent", agent), ("workflow", workflow), ("connection", connection)):
            if row is not None and row.archived:
                who.archived = kind
        who.forbidden = caller.forbidden(agent=agent.id, connection=who.connection_id)
        return who

    def _runs(self, subject: Subject) -> tuple[Run | None, Run | None]:
        if subject.run is None:
            return None, None
        known = self._run(subject.run)
        if (
            known is not None
        ):  # new: a refused call of this batch named it first, so its parent may be new as well
            parent = self.state.runs_by_id.get(known.parent_id) if known.is_new and known.parent_id else None
            return parent, known
        parent = None
        if subject.parent_run is not None and subject.parent_run != subject.run:
            parent = self._run(subject.parent_run) or self._new_run(subject.parent_run, None)
        return parent, self._new_run(subject.run, parent)

    def _run(self, key: str) -> Run | None:
        return self.state.runs.get(key) or self.config.runs.get(key)

    def _new_run(self, key: str, parent: Run | None) -> Run:
        name = new_id()
        root = (parent.root_id, parent.root_key) if parent else (name, key)
        run = Run(name, key, root[0], root[1], parent.id if parent else None, is_new=True)
        self.state.runs[key] = self.state.runs_by_id[run.id] = run
        return run

    def places(self, who: Who, at: datetime) -> list[LayerPlace]:
        """Return every budget that applies, narrow to wide, with the window that the moment falls into."""
        found = []
        for scope, target, target_id, label in _targets(who):
            for budget in self.config.budgets.get(scope, ()):
                if not _applies(budget, target, target_id):
                    continue
                if budget.window_kind != "run" or scope == "run":
                    found.append(_place(budget, target, label, at))
                elif who.run is not None:  # what this target spends in one run, that of its whole tree
                    found.append(_place(budget, f"{_escaped(target)}/{who.run.root_key}", label, at))
        return found

    def _estimated(self, command: Reserve, who: Who) -> tuple[Rated, Amounts]:
        asked = command.estimate or self._guess(command, who)
        provider, model = command.action.provider, command.action.model
        card = self.card(provider, model, self.state.now)
        rated = estimate(
            card,
            input_tokens=asked.input_tokens,
            max_output_tokens=asked.max_output_tokens,
            tool_calls=asked.tool_calls,
            amount_units=asked.amount,
            own_key=who.own_key,
        )
        amounts = Amounts(
            cost=rated.cost_units,
            charge=rated.charge_units,
            tokens=asked.input_tokens + asked.max_output_tokens,
            credits=asked.credits,
            risk_points=asked.risk_points,
            tool_calls=sum(use.calls for use in asked.tool_calls),
        )
        return rated, amounts

    def _guess(self, command: Reserve, who: Who) -> Estimate:
        """From history when there is enough of it, else the model's own maximum, else refused (S29)."""
        provider, model = command.action.provider, command.action.model
        guess = estimate_from_history(
            self.cur, organization=self.config.organization, agent=who.agent_id, provider=provider, model=model,
            now=self.state.now,
        )  # fmt: skip
        if guess is not None:
            return guess
        entry = self.cache.entry(self.cur, provider, model) if provider and model else None
        if entry is not None and entry.context_window and entry.max_output_tokens:
            return Estimate(input_tokens=entry.context_window, max_output_tokens=entry.max_output_tokens)
        raise EstimateRequired(pointer="/estimate")


def _escaped(target: str) -> str:
    """A user's label before the slash that ends it: "a" in run "b/c" is not "a/b" in run "c"."""
    return target.replace("%", "%25").replace("/", "%2F")


def _applies(budget: BudgetDefinition, target: str, target_id: UUID | None) -> bool:
    if budget.target_id is not None:
        return budget.target_id == target_id
    return budget.target_label is None or budget.target_label == target


def _targets(who: Who) -> list[tuple[str, str, UUID | None, str | None]]:
    """Scope, counter's target, id and name of everything that the call is counted for, narrow to wide."""
    targets: list[tuple[str, str, UUID | None, str | None]] = []
    if who.run is not None:
        targets.append(("run", who.run.root_key, None, who.run.root_key))
    if who.user is not None:
        targets.append(("user", who.user, None, who.user))
    targets.append(("agent", str(who.agent_id), who.agent_id, who.agent_key))
    if who.workflow_id is not None:
        targets.append(("workflow", str(who.workflow_id), who.workflow_id, who.workflow_key))
    if who.connection_id is not None:
        targets.append(("connection", str(who.connection_id), who.connection_id, who.connection_key))
    if who.team_id is not None:
        targets.append(("team", str(who.team_id), who.team_id, who.team_key))
    targets.append(("organization", "", None, None))
    return targets


def _place(budget: BudgetDefinition, target: str, label: str | None, at: datetime) -> LayerPlace:
    window = window_at(budget.window_kind, at, budget.zone, rolling_seconds=budget.rolling_seconds)
    if budget.window_kind != "rolling":
        return LayerPlace(budget, target, window, label)
    return LayerPlace(budget, target, window, label, first_bucket_at(at, budget.rolling_seconds or 1))


def _usage(actual: Actual, provider: str | None) -> Usage:
    if actual.usage is not None:
        return actual.usage
    if actual.raw is not None:
        return normalise(actual.raw, provider=provider)
    return NO_USAGE


def _amounts(rated: Rated, usage: Usage, actual: Actual) -> Amounts:
    return Amounts(
        cost=rated.cost_units,
        charge=rated.charge_units,
        tokens=usage.input_tokens + usage.output_tokens,
        credits=actual.credits,
        risk_points=actual.risk_points,
        tool_calls=sum(use.calls for use in usage.tool_calls),
    )
