from argparse import ArgumentParser, ArgumentTypeError
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from common.errors import ProblemError
from common.fields import instant, uuid
from events.database import own_session
from ledger.queries.export import exported_accounts, exported_entries, first_moment
from ledger.rules.journalfiles import WRITERS, day_of, render


class Command(BaseCommand):
    """This command will write the journal as a file that bean-check or hledger can prove without our code."""

    help = "Write the journal in beancount's or hledger's format, with every balance asserted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(WRITERS), default="beancount")
        parser.add_argument("--organization", type=_organization, help="its id; without it all organizations")
        parser.add_argument(
            "--as-of", type=_moment, help="entries in effect by then, such as 2026-02-01T00:00:00Z"
        )
        parser.add_argument("--output", type=Path, help="a file; without it standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            out: Any = self.stdout
            if options["output"] is not None:
                out = stack.enter_context(options["output"].open("w", encoding="utf-8"))
            _write(out, options["format"], options["organization"], options["as_of"])


def _write(out: Any, form: str, organization: UUID | None, as_of: datetime | None) -> None:
    """One snapshot for accounts and entries; it reads only, so no reader of the events waits for its end."""
    with own_session(statement_seconds=600) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cur = session.cursor()
        chosen: dict[str, Any] = {"organization": organization, "as_of": as_of}
        accounts = exported_accounts(cur, **chosen)
        first_day = day_of(first_moment(cur, **chosen))
        entries = exported_entries(session, **chosen)
        title = f"Counterfoil: {organization or 'all organizations'}"
        for line in render(WRITERS[form], accounts, entries, first_day=first_day, title=title):
            out.write(f"{line}\n")
        session.execute("COMMIT")


def _organization(text: str) -> UUID:
    try:
        return uuid(text)
    except ProblemError as error:
        raise ArgumentTypeError(error.detail) from None


def _moment(text: str) -> datetime:
    try:
        return instant(text)
    except ProblemError as error:
        raise ArgumentTypeError(error.detail) from None
