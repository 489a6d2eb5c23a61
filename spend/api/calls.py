"""One authenticated call of the gate: who calls, and its idempotency key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from common.api.rsgi import Request
from common.errors import IdempotencyKeyRequired
from common.idempotency import read_key, request_digest
from common.strictjson import canonical_digest
from spend.api.admitted import Admitted
from spend.rules.commands import RequestKey

MAX_BATCH: Final = 500
MAX_USAGE_BATCH: Final = 1_000


class Call:
    """A call whose body is being read."""

    __slots__ = ("admitted", "request")

    def __init__(self, request: Request, admitted: Admitted) -> None:
        self.request = request
        self.admitted = admitted

    def key(self, body: Mapping[str, Any], *, required: bool) -> RequestKey | None:
        """The call's idempotency key. Raises IdempotencyKeyRequired and IdempotencyKeyInvalid."""
        key = read_key(self.request.header("idempotency-key"), required=required)
        return None if key is None else _keyed(key, self.request.path, canonical_digest(body))

    def key_of_canonical(self, body: bytes, *, required: bool) -> RequestKey | None:
        """The same for a body in its canonical form."""
        key = read_key(self.request.header("idempotency-key"), required=required)
        return None if key is None else canonical_key(key, self.request.path, body)


def item_key(item: Mapping[str, Any], path: str) -> RequestKey:
    """The idempotency key of a batch's item, as if it had come alone to this path.

    Raises IdempotencyKeyRequired and IdempotencyKeyInvalid.
    """
    given = item.get("idempotency_key")
    if given is None or type(given) is not str:
        raise IdempotencyKeyRequired(pointer="/idempotency_key")
    read_key(given, required=True)
    body = {name: value for name, value in item.items() if name not in ("idempotency_key", "id")}
    return _keyed(given, path, canonical_digest(body))


def canonical_key(key: str, path: str, body: bytes) -> RequestKey:
    """A key that is known to be good, with the call that it stands for."""
    return _keyed(key, path, hashlib.sha256(body).digest())


def _keyed(key: str, path: str, value: bytes) -> RequestKey:
    return RequestKey(key, request_digest(method="POST", path=path, value=value))
