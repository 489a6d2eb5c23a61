"""From a parsed command to a plan: subjects, prices and budgets looked up in the caches of the organization.

What is not in a cache raises Missing; whoever asked for the plan has it read and asks again.
"""

from datetime import datetime, timedelta
from functools import partial

from common.errors import CurrencyMismatch, ProblemError
from common.ids import new_id_text
from events.store import Cursor
from ledger.rules.grants import GrantSubject
from spend.operations.gate.placing import both, places_of
from spend.queries.estimates import estimate_from_history
from spend.queries.gate_config import ConfigCache, GateConfig, Missing
from spend.rules.commands import Actual, Caller, Commit, Estimate, RecordUsage, Reserve, Subject
from spend.rules.denials import EstimateRequired, EventInFuture
from spend.rules.normalise import normalise
from spend.rules.plan import Amounts, Places, Plan, Route, Valid, Who
from spend.rules.rating import NO_USAGE, PriceCard, Rated, Usage, estimate, rate
from spend.rules.state import Reservation, Run

MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(minutes=5)


class RunsDiffer(Exception):
    """Two commands of a batch name one new run with two parents, and the first was accepted: decide them apart."""


class Planner:
    """Plans the commands of one organization in one batch; runs that several commands name are shared.

    `known_runs` are those that the batch has asked for, by key, None for one that does not exist yet. Of those there is
    one for each parent that a command names, `new_runs` by key: whose call is accepted first says whose child it is.
    """

    def __init__(self, cache: ConfigCache, config: GateConfig) -> None:
        self.cache, self.config = cache, config
        self.known_runs: dict[str, Run | None] = {}
        self.new_runs: dict[str, dict[str | None, Run]] = {}
        self._guesses: dict[tuple[str | None, ...], Estimate | None] = {}

    def reserve(self, command: Reserve, now: datetime) -> Plan:
        """Plan a reservation made at this moment. A request error becomes the plan's error. Raises Missing."""
        plan = Plan()
        try:
            self._check_currency(command.currency)
            who = plan.who = self._who(command.subject, command.caller)
            prices, plan.rated, plan.amounts = self._estimated(command, who, now)
            places = plan.places = self.places(who, command.caller.key_id, now)
            plan.valid_from, plan.valid_until = both(prices, places.valid)
        except ProblemError as error:
            plan.error = error
        return plan

    def commit(self, command: Commit, reservation: Reservation) -> Plan:
        """Plan a commit at the prices that held when the reservation was made. Raises Missing."""
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
            self._find_splits(plan, reservation.agent_id)
        except ProblemError as error:
            plan.error = error
        return plan

    def _find_splits(self, plan: Plan, agent: str) -> None:
        """Who shares in the agent's calls: of an organization without split rules nothing is looked up."""
        if self.config.splits:
            plan.splits, plan.listing = self.config.splits, self.config.subject("agent", agent).listing

    def usage(self, command: RecordUsage, now: datetime) -> Plan:
        """Plan a fact after the event, under the budgets and prices of the time when it happened. Raises Missing."""
        plan = Plan()
        try:
            if command.occurred_at > now + MAX_AHEAD:
                raise EventInFuture(pointer="/occurred_at")
            self._check_currency(command.currency)
            who = plan.who = self._who(command.subject, command.caller)
            action = command.action
            plan.usage = _usage(command.actual, action.provider)
            card = self.card(action.provider, action.model, command.occurred_at)
            own_key = who.route.own_key
            plan.rated = rate(plan.usage, card, amount_units=command.actual.amount, own_key=own_key)
            plan.amounts = _amounts(plan.rated, plan.usage, command.actual)
            plan.adjustment = command.occurred_at < max(
                now - MAX_AGE, self.config.closed_until or command.occurred_at
            )
            at = now if plan.adjustment else command.occurred_at
            plan.places = self.places(who, command.caller.key_id, at)
            self._find_splits(plan, who.route.agent_id)
        except ProblemError as error:
            plan.error = error
        return plan

    def _check_currency(self, currency: str) -> None:
        if currency and currency != self.config.currency:
            raise CurrencyMismatch(
                f"The organization's currency is {self.config.currency}.", pointer="/currency"
            )

    def card(self, provider: str | None, model: str | None, at: datetime) -> PriceCard:
        """Return the prices of a model for this organization at a moment. Raises Missing."""
        return self.cache.card(self.config, provider, model, at)[1]

    def _who(self, subject: Subject, caller: Caller) -> Who:
        names = (subject.agent, subject.team, subject.workflow, subject.connection)
        route = self.config.routes.get(names)
        if route is None:
            route = self._route(subject)
            if len(self.config.routes) > 4_096:
                self.config.routes.clear()
            self.config.routes[names] = route
        parent, run = self._runs(subject)
        who = Who(route, subject.user, run, parent)
        limit = caller.forbidden(agent=route.agent_id, connection=route.connection_id)
        if limit is not None:
            who.forbidden = (limit, route.agent_key if limit == "agent" else route.connection_key)
        return who

    def _route(self, subject: Subject) -> Route:
        config = self.config
        agent = config.subject("agent", subject.agent)
        team_id = agent.extra
        if subject.team is not None:  # must exist (S20); the agent's own team is the one that counts (S23)
            named = config.subject("team", subject.team)
            team_id = team_id or named.id
        team = config.subject("team", team_id) if team_id is not None else None
        workflow = config.subject("workflow", subject.workflow) if subject.workflow else None
        connection = config.subject("connection", subject.connection) if subject.connection else None
        route = Route(
            agent_id=agent.id,
            team_id=team_id,
            workflow_id=workflow.id if workflow else None,
            connection_id=connection.id if connection else None,
            own_key=connection is not None and connection.extra == "own_key",
            agent_key=agent.key,
            team_key=team.key if team else None,
            workflow_key=workflow.key if workflow else None,
            connection_key=connection.key if connection else None,
            grants=GrantSubject(team=team_id, agent=agent.id, workflow=workflow.id if workflow else None),
        )
        for kind, row in (("agent", agent), ("workflow", workflow), ("connection", connection)):
            if row is not None and row.archived:
                route.archived = (kind, row.key)
        return route

    def _runs(self, subject: Subject) -> tuple[Run | None, Run | None]:
        if subject.run is None:
            return None, None
        known = self._run(subject.run)
        if known is not None:
            return None, known
        parent = None
        if subject.parent_run is not None and subject.parent_run != subject.run:
            parent = self._run(subject.parent_run) or self._new_run(subject.parent_run, None)
        return parent, self._new_run(subject.run, parent)

    def unknown_runs(self, subject: Subject) -> list[str]:
        """Return the keys of runs that have to be asked for before this subject can be planned."""
        return [
            key
            for key in (subject.run, subject.parent_run)
            if key is not None and key not in self.config.runs and key not in self.known_runs
        ]

    def _run(self, key: str) -> Run | None:
        return self.config.runs.get(key) or self.known_runs[key]

    def _new_run(self, key: str, parent: Run | None) -> Run:
        of_parents = self.new_runs.setdefault(key, {})
        parent_key = parent.key if parent else None
        run = of_parents.get(parent_key)
        if run is None:
            name = new_id_text()
            if parent is None:
                run = Run(name, key, name, key, None, is_new=True)
            else:
                above = (parent.key, *parent.above) if parent.parent_id is not None else ()
                run = Run(
                    name, key, parent.root_id, parent.root_key, parent.id, depth=parent.depth + 1,
                    root_started_at=parent.root_started_at, above=above, is_new=True,
                )  # fmt: skip
            of_parents[parent_key] = run
        return run

    def check_runs(self, who: Who) -> None:
        """Raises RunsDiffer when a run that is new to this plan was started meanwhile, as the child of another."""
        for run in (who.run, who.parent):
            if run is None or not run.is_new:
                continue
            if not all(other.is_new for other in self.new_runs[run.key].values()):
                raise RunsDiffer

    def started_runs(self) -> list[Run]:
        """Return the runs that the batch has found or started."""
        found = [run for run in self.known_runs.values() if run is not None]
        new = [run for of_parents in self.new_runs.values() for run in of_parents.values()]
        return [run for run in (*found, *new) if not run.is_new]

    def places(self, who: Who, key: str | None, at: datetime) -> Places:
        """Return everything that counts a call of this key, with the windows that the moment falls into, and in which
        time these are the same.
        """
        route, root = who.route, who.run.root_key if who.run is not None else None
        caller = key if self.config.rules.by_key else None
        name = (route.agent_id, route.team_id, route.workflow_id, route.connection_id, who.user, root, caller)
        known = self.config.places.get(name)
        if known is not None and known.valid[0] <= at and (known.valid[1] is None or at < known.valid[1]):
            return known
        found = places_of(self.config, who, key, at)
        self.config.remember_places(name, found)
        return found

    def _estimated(self, command: Reserve, who: Who, now: datetime) -> tuple[Valid, Rated, Amounts]:
        asked = command.estimate or self._guess(command, who, now)
        valid, card = self.cache.card(self.config, command.action.provider, command.action.model, now)
        rated = estimate(
            card,
            input_tokens=asked.input_tokens,
            max_output_tokens=asked.max_output_tokens,
            tool_calls=asked.tool_calls,
            amount_units=asked.amount,
            own_key=who.route.own_key,
        )
        amounts = Amounts(
            cost=rated.cost_units,
            charge=rated.charge_units,
            tokens=asked.input_tokens + asked.max_output_tokens,
            credits=asked.credits,
            risk_points=asked.risk_points,
            tool_calls=sum(use.calls for use in asked.tool_calls) if asked.tool_calls else 0,
            input_tokens=asked.input_tokens,
        )
        return valid, rated, amounts

    def _guess(self, command: Reserve, who: Who, now: datetime) -> Estimate:
        """From history when there is enough of it, else the model's own maximum, else refused (S29)."""
        provider, model = command.action.provider, command.action.model
        name = (who.route.agent_id, who.route.workflow_id, provider, model)
        if name not in self._guesses:
            raise Missing(partial(self._read_history, name=name, now=now))
        guess = self._guesses[name]
        if guess is not None:
            return guess
        entry = self.cache.entry(provider, model) if provider and model else None
        if entry is not None and entry.context_window and entry.max_output_tokens:
            return Estimate(input_tokens=entry.context_window, max_output_tokens=entry.max_output_tokens)
        raise EstimateRequired(pointer="/estimate")

    def _read_history(self, cur: Cursor, name: tuple[str | None, ...], now: datetime) -> None:
        agent, workflow, provider, model = name
        self._guesses[name] = estimate_from_history(
            cur, organization=self.config.organization, agent=agent or "", workflow=workflow, provider=provider,
            model=model, now=now,
        )  # fmt: skip


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
        tool_calls=sum(use.calls for use in usage.tool_calls) if usage.tool_calls else 0,
        input_tokens=usage.input_tokens,
    )
