"""Signing secrets: made, kept sealed, and used to sign as Standard Webhooks says.

A receiver needs the same secret as we, so it cannot be kept as a digest. It is 256 random bits, and what is stored is
their XOR with a keystream of the server's SECRET_KEY and the secret's own id, which is used once; a tag shows when it
was sealed with another SECRET_KEY. So whoever reads only the database reads no secret.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from standardwebhooks import Webhook

MARK: Final = "whsec_"
RANDOM_BYTES: Final = 32
DEFAULT_OVERLAP_SECONDS: Final = 86_400
MAX_OVERLAP_SECONDS: Final = 7 * 86_400


class SealedElsewhere(Exception):
    """The secret was sealed under another SECRET_KEY: rotate it."""


def new_secret() -> bytes:
    """Return the bytes of a new secret."""
    return secrets.token_bytes(RANDOM_BYTES)


def shown(secret: bytes) -> str:
    """Return a secret as its owner sees it, once."""
    return MARK + base64.b64encode(secret).decode()


def sealed(secret: bytes, *, identifier: UUID, server_key: str) -> str:
    """Return a secret as it may be stored: hex of the sealed bytes and their tag."""
    closed = _xor(secret, identifier, server_key)
    return (closed + _tag(closed, identifier, server_key)).hex()


def opened(text: str, *, identifier: UUID, server_key: str) -> bytes:
    """Return the bytes of a sealed secret. Raises SealedElsewhere."""
    raw = bytes.fromhex(text)
    closed, tag = raw[:RANDOM_BYTES], raw[RANDOM_BYTES:]
    if not hmac.compare_digest(tag, _tag(closed, identifier, server_key)):
        raise SealedElsewhere
    return _xor(closed, identifier, server_key)


def signature_headers(
    *, message: str, at: datetime, body: bytes, secrets_: Sequence[bytes]
) -> dict[str, str]:
    """Return the three headers of a signed message; one signature for each secret, newest first."""
    text = body.decode()
    signed = [Webhook(secret).sign(message, at, text) for secret in secrets_]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signed),
    }


def _xor(raw: bytes, identifier: UUID, server_key: str) -> bytes:
    stream = hmac.digest(b"counterfoil.webhook-secret." + server_key.encode(), identifier.bytes, "sha256")
    return bytes(a ^ b for a, b in zip(raw, stream, strict=True))


def _tag(closed: bytes, identifier: UUID, server_key: str) -> bytes:
    key = b"counterfoil.webhook-secret-tag." + server_key.encode()
    return hmac.digest(key, identifier.bytes + closed, "sha256")[:8]
