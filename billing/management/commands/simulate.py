"""manage.py simulate: months pass for a sandbox organization, and what they bring is printed."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from billing.operations.simulating import Simulated, simulate
from billing.queries.happenings import Happening, happenings, written
from billing.rules.periods import Cycle, Interval
from billing.rules.telling import signed
from common.errors import ProblemError
from common.fields import instant, is_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.queries.organizations import clock_of, find_organization, organizations_named

AUTHOR = Author("system:simulate")


class Command(BaseCommand):
    """This command will let time pass for a sandbox organization, from one due moment to the next, and print the
    invoices, journal entries and events that arise, in order of time. Exit code 0 only when it got to the end."""

    help = "Let months pass for a sandbox organization and print what they bring."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="ID", help="its id, or its name")
        end = parser.add_mutually_exclusive_group(required=True)
        end.add_argument("--months", type=int, help="from what its clock shows, in its own time zone")
        end.add_argument("--until", metavar="TIME", help="such as 2027-01-01T00:00:00Z")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            organization = run_in_transaction(partial(_organization, name=options["organization"]))
            until = _until(organization, options["months"], options["until"])
            done = simulate(organization=organization, until=until, author=AUTHOR)
        except ProblemError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        run_in_transaction(partial(self._print, done=done, as_json=options["json"]))

    def _print(self, cur: Cursor, *, done: Simulated, as_json: bool) -> None:
        found = happenings(cur, organization=done.organization, after=done.after, last=done.last)
        if as_json:
            for happening in found:
                self.stdout.write(json.dumps(written(happening), default=_text))
            return
        self.stdout.write(f"From {_time(done.started_at)} to {_time(done.reached_at)}, times in UTC.")
        count = 0
        for happening in found:
            count += 1
            for line in _lines(happening):
                self.stdout.write(line)
        self.stdout.write(f"{count} events at {done.moments} moments.")


def _organization(cur: Cursor, *, name: str) -> UUID:
    if is_id(name):
        return find_organization(cur, organization=UUID(name)).id
    found = organizations_named(cur, name)
    if len(found) != 1:
        raise CommandError(f"{len(found)} organizations are called {name}: give the id.")
    return found[0]


def _until(organization: UUID, months: int | None, until: str | None) -> datetime:
    if until is not None:
        return instant(until)
    if months is None or not 0 < months <= 120:
        raise CommandError("--months takes 1 to 120.")
    return run_in_transaction(partial(_months_on, organization=organization, months=months))


def _months_on(cur: Cursor, *, organization: UUID, months: int) -> datetime:
    now, _ = clock_of(cur, organization=organization)
    zone = find_organization(cur, organization=organization).time_zone
    return Cycle.from_start(now, interval=Interval("month", months), zone=zone).period_at(now).end


def _lines(happening: Happening) -> Iterator[str]:
    yield f"{_time(happening.at)}  {happening.told.text}"
    for detail in happening.told.details:
        yield f"                      {detail}"
    for entry in happening.entries:
        amounts = ", ".join(f"{account} {signed(amount)}" for account, amount in entry.lines)
        yield f"                      Journal, {entry.kind}, {_time(entry.effective_at)[:10]}: {amounts}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
