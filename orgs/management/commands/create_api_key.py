"""manage.py create_api_key: the first key of a platform, or one of an organization, from the console."""

import json
import sys
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from common.errors import ProblemError
from common.fields import choices, is_id
from common.transactions import run_in_transaction
from orgs import PLATFORM_ID
from orgs.operations.api_keys import IssuedKey, NewApiKey, create_api_key
from orgs.operations.facts import Author
from orgs.rules.scopes import ALL_SCOPES, ORGANIZATION_SCOPES, PLATFORM


class Command(BaseCommand):
    """Makes an API key and prints its secret, which is stored nowhere."""

    help = "Make an API key and print its secret once. Exit code 0 only when the key exists."

    def add_arguments(self, parser: ArgumentParser) -> None:
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument("--organization", metavar="ID", help="whose key it is")
        owner.add_argument("--platform", action="store_true", help="a key of the platform")
        parser.add_argument("--name", default="console")
        parser.add_argument("--scopes", help=f"comma separated, out of: {', '.join(sorted(ALL_SCOPES))}")
        parser.add_argument("--member", metavar="ID", help="limits the key to this member's role")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        new = _new_key(options)
        try:
            issued = run_in_transaction(lambda cur: create_api_key(cur, new, author=Author("system:console")))
        except ProblemError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        self._print(issued, as_json=options["json"])

    def _print(self, issued: IssuedKey, *, as_json: bool) -> None:
        key = issued.key
        if as_json:
            shown = {
                "id": str(key.id),
                "organization": str(key.organization),
                "scopes": list(key.scopes),
                "secret": issued.secret,
            }
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(issued.secret)
        if sys.stderr.isatty():
            self.stderr.write(f"Key {key.id} ({', '.join(key.scopes)}). It is not shown again.")


def _new_key(options: dict[str, Any]) -> NewApiKey:
    platform = options["platform"]
    if not platform and not is_id(options["organization"]):
        raise CommandError("--organization takes an id.")
    allowed = ALL_SCOPES if platform else ORGANIZATION_SCOPES
    default = [PLATFORM] if platform else ["admin", "spend:write", "spend:read"]
    given = options["scopes"]
    try:
        scopes = choices([word.strip() for word in given.split(",")], options=allowed) if given else default
    except ProblemError as error:
        raise CommandError(f"--scopes: {error.detail}") from error
    return NewApiKey(
        organization=PLATFORM_ID if platform else UUID(options["organization"]),
        name=options["name"],
        scopes=scopes,
        member=options["member"],
    )
