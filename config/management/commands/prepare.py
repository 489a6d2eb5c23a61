from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """This command will bring the database to what this code needs (migrations through the owner's role) and
    load the demo data. Doing both in one process saves a start of Django."""

    help = "Apply the migrations and load the demo data."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bare", action="store_true", help="apply the migrations only")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", database="owner", interactive=False, verbosity=options["verbosity"])
        if not options["bare"] and "load_demo" in get_commands():
            call_command("load_demo")
