"""Who calls. The keys belong to a higher app, which the settings name and which is found when needed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request


class Principal(Protocol):
    """Who calls: what the authenticator gives back."""

    @property
    def organization(self) -> UUID:
        """The organization whose data this call may see."""

    @property
    def actor(self) -> str:
        """The actor of the events that this call leads to, such as `key:<id>`."""

    def has_scope(self, scope: str) -> bool:
        """Whether the credentials carry a scope."""


def authenticate(request: HttpRequest) -> Principal:
    """The principal of a request, by the callable that `settings.API_AUTHENTICATOR` names.

    Raises InvalidCredentials, also for credentials that are absent.
    """
    principal: Principal = _authenticator(settings.API_AUTHENTICATOR)(request)
    return principal


class CredentialsAuthentication(BaseAuthentication):
    """The framework's form of `authenticate`."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        """The principal, as `request.user`."""
        return authenticate(request._request), None

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401."""
        return "Bearer"


@functools.lru_cache(maxsize=4)
def _authenticator(path: str) -> Callable[[HttpRequest], Principal]:
    return cast("Callable[[HttpRequest], Principal]", import_string(path))
