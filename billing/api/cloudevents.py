"""The media types of events: JSON, a CloudEvent in structured mode, and a batch of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rest_framework.request import Request

from common.api.requests import StrictJSONParser, read_object, read_raw
from common.errors import InvalidJson
from common.strictjson import MAX_BYTES, parse_object

ONE: Final = "application/cloudevents+json"
MANY: Final = "application/cloudevents-batch+json"
_CHARSET: Final = r"\s*(?:;\s*charset\s*=\s*(?:\"utf-?8\"|utf-?8)\s*)?;?\s*"
_ONE = re.compile(re.escape(ONE) + _CHARSET, re.IGNORECASE | re.ASCII)
_MANY = re.compile(re.escape(MANY) + _CHARSET, re.IGNORECASE | re.ASCII)
_BEFORE, _AFTER = b'{"items":', b"}"


def is_batch(content_type: str | None) -> bool:
    """Whether a body is a batch of CloudEvents by its media type."""
    return _MANY.fullmatch(content_type or "") is not None


class EventsParser(StrictJSONParser):
    """Reads one event, or a CloudEvents batch, whose list stands as `items`; as strict as every body."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body as a dict."""
        request: Request = (parser_context or {})["request"]
        content_type = request.META.get("CONTENT_TYPE", "")
        if _ONE.fullmatch(content_type):
            return parse_object(read_raw(request._request))
        if not is_batch(content_type):
            return read_object(request._request)
        return _batch(read_raw(request._request))


def _batch(raw: bytes) -> dict[str, Any]:
    """The list inside an object of our own, so that it is read by the same strict reader."""
    body = parse_object(_BEFORE + raw + _AFTER, max_bytes=MAX_BYTES + len(_BEFORE) + len(_AFTER))
    if len(body) != 1 or not isinstance(body["items"], list):
        raise InvalidJson("A batch of CloudEvents is a JSON array.")
    return body
