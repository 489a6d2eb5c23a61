"""manage.py seed_plans: the four plans that an installation may begin with."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.operations.seeding import seed_plans
from common.transactions import run_in_transaction
from orgs.operations.facts import Author


class Command(BaseCommand):
    """Makes and publishes the plans that are not there; what is there stays as it is."""

    help = "Make and publish the plans Free, Individual, Advanced and Enterprise, where their keys are free."

    def handle(self, *args: Any, **options: Any) -> None:
        """Say which were made."""
        made = run_in_transaction(lambda cur: seed_plans(cur, author=Author("system:seed_plans")))
        self.stdout.write(f"Made: {', '.join(made)}." if made else "All of them are there.")
