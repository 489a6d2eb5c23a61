"""The one way to the processor: a client with deadlines, few retries, our API version and no globals.

payouts uses it for connected accounts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
import stripe
from django.conf import settings
from django.db import connections
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from common.errors import ProblemError

NETWORK_RETRIES: Final = 1
"""The SDK's own, for blips, under the same key. What lasts longer is sent again by the command's rules."""
CONNECTIONS: Final = 32
"""That are kept open between calls, in each process."""
LONGEST_CALL_SECONDS: Final = 51
"""Connecting and reading with their deadlines, once more, and the pause between: see STRIPE_TIMEOUT_SECONDS."""


_before_each: ContextVar[Callable[[], None] | None] = ContextVar("before_each", default=None)


class CallInTransaction(RuntimeError):
    """A defect: the processor is never called while a transaction is open (ADR 0016)."""


class NotConfigured(ProblemError):
    """There is no payment processor here: nothing can be charged."""

    code = "no_payment_processor"
    status = 503


def client() -> stripe.StripeClient:
    """Return the client of the platform's account. Raises NotConfigured, and CallInTransaction inside a transaction:
    the lock of an organization must not wait for somebody else's server."""
    require_no_transaction()
    require_configured()
    return _client(
        settings.STRIPE_API_KEY, settings.STRIPE_API_BASE, settings.STRIPE_TIMEOUT_SECONDS, os.getpid()
    )


def options(*, account: str | None = None, key: str | None = None, version: str | None = None) -> Any:
    """Return a call's options: whose account it is for, its idempotency key, and another API version than ours."""
    given = {"stripe_account": account, "idempotency_key": key, "stripe_version": version}
    return {name: value for name, value in given.items() if value is not None}


def is_configured() -> bool:
    """Whether there is a key for the processor."""
    return bool(settings.STRIPE_API_KEY)


def require_configured() -> None:
    """Refuse where there is no key for the processor. Raises NotConfigured."""
    if not is_configured():
        raise NotConfigured


def require_no_transaction() -> None:
    """Refuse to go on while a transaction is open on any of this thread's connections. Raises CallInTransaction."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise CallInTransaction("The processor is called outside of transactions only.")


@contextmanager
def before_each_request(act: Callable[[], None] | None) -> Iterator[None]:
    """This function will have `act` done before every request that is made in this context, pages of lists and repeated
    requests, too; None: nothing."""
    token = _before_each.set(act)
    try:
        yield
    finally:
        _before_each.reset(token)


class _Requests(stripe.RequestsClient):
    """The SDK's way to the network. One place that every request passes, so that none can be forgotten."""

    def request(self, *args: Any, **given: Any) -> Any:
        """Make one request."""
        act = _before_each.get()
        if act is not None:
            act()
        return super().request(*args, **given)


@lru_cache(maxsize=8)
def _client(key: str, base: str | None, timeout: tuple[int, int], process: int) -> stripe.StripeClient:
    """A process's client: connections that a fork inherits are its parent's."""
    return stripe.StripeClient(
        key,
        stripe_version=settings.STRIPE_API_VERSION,
        max_network_retries=NETWORK_RETRIES,
        base_addresses={"api": base} if base else None,
        http_client=_Requests(timeout=timeout, session=_session(base or stripe.DEFAULT_API_BASE)),
    )


def _session(base: str) -> requests.Session:
    """A session for all threads that looks for proxies once, not in each call: that is half of a call's CPU. It keeps
    no cookies and reads no ~/.netrc."""
    session = requests.Session()
    session.proxies = get_environ_proxies(base)
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return session
