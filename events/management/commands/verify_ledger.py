import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.verifying.report import Report
from events.verifying.run import verify


class Command(BaseCommand):
    """This command will recompute the seal chain and everything that must hold between rows, and name each row that
    was changed, removed or inserted. Exit 0 only when nothing is wrong."""

    help = "Verify facts against their seals, and the books against their invariants."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify()
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            self._print(report)
        if not report.is_clean:
            raise CommandError(f"{len(report.findings) + report.more_findings} findings.")

    def _print(self, report: Report) -> None:
        for finding in report.findings:
            self.stdout.write(str(finding))
        rows = ", ".join(f"{count} {table}" for table, count in report.counts.items()) or "no rows"
        self.stdout.write(f"{report.seals} seals over {rows} verified in {report.seconds} s.")
        self.stdout.write(f"Head: {report.head or 'none'}")
        tail = dict(report.tail)
        age = tail.pop("oldest_seconds")
        waiting = ", ".join(f"{count} {table}" for table, count in tail.items() if count)
        self.stdout.write(f"Not sealed yet: {waiting or 'nothing'}{f', {age} s old' if waiting else ''}.")
