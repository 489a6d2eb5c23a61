import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ProblemError
from common.money import format_amount
from webhooks.operations.reconciling.running import reconcile
from webhooks.queries.reconciling.runs import Run


class Command(BaseCommand):
    """This command will reconcile the books with themselves and with the processor, and repair what is safe. Exit 0
    only when nothing differs that a person has not accepted."""

    help = "Compare the books with themselves and with Stripe, repair what is safe, and keep findings for the rest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--date", metavar="DAY", help="of which day, such as 2026-11-27; without: up to now"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            period = None if options["date"] is None else date.fromisoformat(options["date"])
        except ValueError as error:
            raise CommandError(f"--date: {error}") from error
        try:
            run = reconcile(period=period, author_name="manage.py reconcile")
        except ProblemError as error:
            raise CommandError(error.detail or error.code) from error
        if options["json"]:
            self.stdout.write(json.dumps(report(run), default=str))
        else:
            self._print(run)
        if not run.is_clean:
            count = sum(each["open"] for each in run.differences.values())
            raise CommandError(f"{count} differences are open: see /v1/reconciliations/{run.id}.")

    def _print(self, run: Run) -> None:
        for name, counted in run.done.items():
            self.stdout.write(
                f"{name}: {counted['compared']} compared, {counted['repaired']} repaired, {counted['open']} open,"
                f" {counted['seconds']} s"
            )
        for name, each in run.differences.items():
            self.stdout.write(
                f"{name}: {each['found']} found, {each['repaired']} repaired, {each['open']} open"
            )
        for currency, each in run.balances.items():
            closing, books = format_amount(each["closing"]), format_amount(each["books"])
            self.stdout.write(f"{currency}: the processor holds {closing}, by the books {books}")


def report(run: Run) -> dict[str, Any]:
    """The report for machines; amounts in units of 10^-8."""
    return {
        "ok": bool(run.is_clean),
        "id": str(run.id),
        "period": run.period.isoformat(),
        "since": run.since.isoformat(),
        "until": run.until.isoformat(),
        "steps": dict(run.done),
        "differences": dict(run.differences),
        "balances": dict(run.balances),
        "started_at": run.started_at.isoformat(),
        "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
    }
