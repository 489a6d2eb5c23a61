from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import NotFound
from events.operations.advance import resume_subscriber


class Command(BaseCommand):
    """This command will let a parked subscriber go on where it stopped."""

    help = "Let a parked subscriber of events go on where it stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            resume_subscriber(name=options["name"])
        except NotFound as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{options['name']} goes on.")
