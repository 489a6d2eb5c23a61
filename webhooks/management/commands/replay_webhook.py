import json
from argparse import ArgumentParser
from functools import partial
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from common.errors import ProblemError
from common.fields import is_id
from common.transactions import run_in_transaction
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.inbound.replaying import ENDED, events_named, replay_event


class Command(BaseCommand):
    """This command will have events of Stripe worked on again, and work on them. Exit 0 only if each of them was found
    and could be replayed."""

    help = "Work on events of Stripe again: by their ids, or all dead ones, or those of a state and reason."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("events", nargs="*", help="evt_… of Stripe, or the id of a row of the inbox")
        parser.add_argument("--state", choices=ENDED, help="all events in this state")
        parser.add_argument("--reason", help="with --state: only those with this reason")
        parser.add_argument("--no-process", action="store_true", help="leave the work to the workers")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["events"]) == bool(options["state"]):
            raise CommandError("Name events, or give --state.")
        done = {str(each): self._replay(each) for each in self._chosen(options)}
        if not options["no_process"]:
            process_due()
        if options["json"]:
            self.stdout.write(json.dumps(done))
        else:
            for name, state in done.items():
                self.stdout.write(f"{name}: {state}")

    def _chosen(self, options: dict[str, Any]) -> list[UUID]:
        if options["state"]:
            named = partial(events_named, states=(options["state"],), reason=options["reason"])
            return run_in_transaction(named)
        found: list[UUID] = []
        for name in options["events"]:
            rows = [UUID(name)] if is_id(name) else run_in_transaction(partial(events_named, event=name))
            if not rows:
                raise CommandError(f"There is no event {name}.")
            found += rows
        return found

    def _replay(self, identifier: UUID) -> str:
        try:
            return run_in_transaction(
                partial(replay_event, identifier=identifier, author_name="manage.py replay_webhook")
            )
        except ProblemError as error:
            raise CommandError(f"{identifier}: {error.detail}") from error
