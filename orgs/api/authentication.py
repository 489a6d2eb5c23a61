"""The bearer key of a request: whom it stands for, asked of the database every time."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest

from common.errors import InvalidCredentials
from orgs.operations.api_keys import note_use
from orgs.queries.authentication import authenticate as find_principal
from orgs.queries.authentication import bearer_secret
from orgs.rules.permissions import Principal


def authenticate(request: HttpRequest) -> Principal:
    """Return the principal of `Authorization: Bearer cfk_…`, and note the key's use (once a minute).

    Nothing is cached: a revoked or expired key is refused at its next request, in every process. Raises
    InvalidCredentials, the same for an absent, malformed, unknown, revoked and expired key.
    """
    secret = bearer_secret(request.headers.get("Authorization"))
    if secret is None:
        raise InvalidCredentials
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.connection.cursor() as cur:
        principal = find_principal(cur, secret)
        if principal is None:
            raise InvalidCredentials
        note_use(cur, principal)
    return principal
