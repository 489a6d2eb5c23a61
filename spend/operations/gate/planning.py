"""From a parsed command to a plan: subjects, prices and budgets looked up in the caches of the organization.

What is not in a cache raises Missing; whoever asked for the plan has it read and asks again.
"""

from datetime import datetime, timedelta
from functools import partial

from common.errors import CurrencyMismatch, ProblemError
from common.ids import new_id_text
from events.store import Cursor
from ledger.rules.grants import GrantSubject
from spend.queries.estimates import estimate_from_history
from spend.queries.gate_config import ConfigCache, GateConfig, Missing, Valid
from spend.rules.budgets import BudgetDefinition
from spend.rules.commands import Actual, Caller, Commit, Estimate, RecordUsage, Reserve, Subject
from spend.rules.denials import EstimateRequired, EventInFuture
from spend.rules.normalise import normalise
from spend.rules.plan import Amounts, LayerPlace, Plan, Route, Who
from spend.rules.rating import NO_USAGE, PriceCard, Rated, Usage, estimate, rate
from spend.rules.state import Reservation, Run
from spend.rules.windows import bucket_seconds, first_bucket_at, window_at

MAX_AGE = timedelta(days=35)
MAX_AHEAD = timedelta(minutes=5)


class Planner:
    """Plans the commands of one organization in one batch; runs that several commands name are shared.

    `known_runs` are those that the batch has asked for, by key, None for one that does not exist yet.
    """

    def __init__(self, cache: ConfigCache, config: GateConfig) -> None:
        self.cache, self.config = cache, config
        self.known_runs: dict[str, Run | None] = {}
        self.runs_by_id: dict[str, Run] = {}
        self._parents: dict[str, str | None] = {}  # of runs that the batch would start: what was said first
        self._guesses: dict[tuple[str, str | None, str | None], Estimate | None] = {}

    def reserve(self, command: Reserve, now: datetime) -> Plan:
        """Plan a reservation made at this moment. A request error becomes the plan's error. Raises Missing."""
        plan = Plan()
        try:
            self._check_currency(command.currency)
            who = plan.who = self._who(command.subject, command.caller)
            prices, plan.rated, plan.amounts = self._estimated(command, who, now)
            layers, plan.places = self.places(who, now)
            plan.valid_from, plan.valid_until = both(prices, layers)
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
        except ProblemError as error:
            plan.error = error
        return plan

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
            plan.adjustment = command.occurred_at < now - MAX_AGE
            _, plan.places = self.places(who, now if plan.adjustment else command.occurred_at)
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
            # new: a refused call of this batch named it first, so its parent may be new as well
            parent = self.runs_by_id.get(known.parent_id) if known.is_new and known.parent_id else None
            return parent, known
        parent, said = None, _parent_of(subject)
        if said is not None:
            parent = self._run(said) or self._new_run(said, None)
        self._parents[subject.run] = said
        return parent, self._new_run(subject.run, parent)

    def contradicts(self, subject: Subject) -> bool:
        """Return whether an earlier command of the batch says something else of the parents of a run that it would
        start. Whether it starts it is known when it is decided; a refused one has said nothing.
        """
        if subject.run is None or not self._parents:
            return False
        said = _parent_of(subject)
        if subject.run in self._parents:
            return self._parents[subject.run] != said
        return said is not None and self._parents.get(said) is not None

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
        name = new_id_text()
        self._parents.setdefault(key, None)
        root = (parent.root_id, parent.root_key) if parent else (name, key)
        run = Run(name, key, root[0], root[1], parent.id if parent else None, is_new=True)
        self.known_runs[key] = self.runs_by_id[run.id] = run
        return run

    def places(self, who: Who, at: datetime) -> tuple[Valid, list[LayerPlace]]:
        """Return every budget that applies, narrow to wide, with the window that the moment falls into, and in which
        time these are the same.
        """
        route, root = who.route, who.run.root_key if who.run is not None else None
        key = (route.agent_id, route.team_id, route.workflow_id, route.connection_id, who.user, root)
        known = self.config.places.get(key)
        if known is not None and known[0][0] <= at and (known[0][1] is None or at < known[0][1]):
            return known
        found = self._places(who, at)
        valid: Valid = (datetime.min.replace(tzinfo=at.tzinfo), None)
        for place in found:
            valid = both(valid, _validity(place))
        self.config.remember_places(key, valid, found)
        return valid, found

    def _places(self, who: Who, at: datetime) -> list[LayerPlace]:
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
        )
        return valid, rated, amounts

    def _guess(self, command: Reserve, who: Who, now: datetime) -> Estimate:
        """From history when there is enough of it, else the model's own maximum, else refused (S29)."""
        provider, model = command.action.provider, command.action.model
        name = (who.route.agent_id, provider, model)
        if name not in self._guesses:
            raise Missing(partial(self._read_history, name=name, now=now))
        guess = self._guesses[name]
        if guess is not None:
            return guess
        entry = self.cache.entry(provider, model) if provider and model else None
        if entry is not None and entry.context_window and entry.max_output_tokens:
            return Estimate(input_tokens=entry.context_window, max_output_tokens=entry.max_output_tokens)
        raise EstimateRequired(pointer="/estimate")

    def _read_history(self, cur: Cursor, name: tuple[str, str | None, str | None], now: datetime) -> None:
        agent, provider, model = name
        self._guesses[name] = estimate_from_history(
            cur, organization=self.config.organization, agent=agent, provider=provider, model=model, now=now
        )


def _parent_of(subject: Subject) -> str | None:
    return subject.parent_run if subject.parent_run != subject.run else None


def both(one: Valid, other: Valid) -> Valid:
    """Return when both hold."""
    ends = [end for end in (one[1], other[1]) if end is not None]
    return max(one[0], other[0]), min(ends) if ends else None


def _validity(place: LayerPlace) -> Valid:
    """When a place is the same: its window, and of a rolling budget as long as the same buckets count."""
    window: Valid = (place.window.start, place.window.end)
    if place.first_bucket is None:
        return window
    rolling = place.budget.rolling_seconds or 1
    begins = place.first_bucket + timedelta(seconds=rolling)
    return both(window, (begins, begins + timedelta(seconds=bucket_seconds(rolling))))


def _escaped(target: str) -> str:
    """A user's label before the slash that ends it: "a" in run "b/c" is not "a/b" in run "c"."""
    return target.replace("%", "%25").replace("/", "%2F")


def _applies(budget: BudgetDefinition, target: str, target_id: str | None) -> bool:
    if budget.target_id is not None:
        return budget.target_id == target_id
    return budget.target_label is None or budget.target_label == target


def _targets(who: Who) -> list[tuple[str, str, str | None, str | None]]:
    """Scope, counter's target, id and name of everything that the call is counted for, narrow to wide."""
    route = who.route
    targets: list[tuple[str, str, str | None, str | None]] = []
    if who.run is not None:
        targets.append(("run", who.run.root_key, None, who.run.root_key))
    if who.user is not None:
        targets.append(("user", who.user, None, who.user))
    targets.append(("agent", route.agent_id, route.agent_id, route.agent_key))
    if route.workflow_id is not None:
        targets.append(("workflow", route.workflow_id, route.workflow_id, route.workflow_key))
    if route.connection_id is not None:
        targets.append(("connection", route.connection_id, route.connection_id, route.connection_key))
    if route.team_id is not None:
        targets.append(("team", route.team_id, route.team_id, route.team_key))
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
        tool_calls=sum(use.calls for use in usage.tool_calls) if usage.tool_calls else 0,
    )
