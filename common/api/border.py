"""What a request must look like before its content is of interest: the rules alone, for every kind of server."""

from __future__ import annotations

import re
from typing import Final

from common.errors import UnsupportedMediaType
from common.ids import new_id_text
from common.strictjson import MAX_BYTES

JSON_MEDIA_TYPE: Final = "application/json"
API_PREFIX: Final = "/v1/"
CHUNK_BYTES: Final = 65_536
DRAIN_BYTES: Final = 64 * MAX_BYTES
DRAIN_SECONDS: Final = 2
"""What is still coming of a refused body is swallowed up to these bounds: a server that closes a connection with
unread bytes resets it, and the caller would never see the refusal."""

_CONTENT_TYPE = re.compile(
    r"""application/json\s*(?:;\s*charset\s*=\s*(?:"utf-?8"|utf-?8)\s*)?;?\s*""", re.IGNORECASE | re.ASCII
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request_id(given: str | None) -> str:
    """The id of a request: the caller's when it is plain, else an own one."""
    return given if given and _REQUEST_ID.fullmatch(given) else new_id_text()


def check_media_type(content_type: str, content_encoding: str | None) -> None:
    """Refuse every media type but JSON, every charset but UTF-8 and every encoding.

    Raises UnsupportedMediaType.
    """
    if content_encoding:
        raise UnsupportedMediaType("A body is sent without a content encoding.")
    if content_type != JSON_MEDIA_TYPE and not _CONTENT_TYPE.fullmatch(content_type):
        raise UnsupportedMediaType


def announced_bytes(content_length: str | None) -> int | None:
    """How long a body says it is; None without a number."""
    return int(content_length[:20]) if content_length and content_length.isdecimal() else None
