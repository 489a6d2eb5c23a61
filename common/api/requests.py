"""The border of the API: what a request must look like before its content is of interest."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from common.errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from common.ids import new_id
from common.strictjson import MAX_BYTES, parse_object

_CONTENT_TYPE = re.compile(
    r"""application/json\s*(?:;\s*charset\s*=\s*(?:"utf-?8"|utf-?8)\s*)?;?\s*""", re.IGNORECASE | re.ASCII
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK_BYTES: Final = 65_536
_DRAIN_BYTES: Final = 64 * MAX_BYTES
_DRAIN_SECONDS: Final = 2


def request_id_of(request: HttpRequest) -> str:
    """The id of this request: the caller's when it is plain, else an own one. It does not change."""
    known: str | None = getattr(request, "request_id", None)
    if known is None:
        given = request.headers.get("X-Request-Id", "")
        known = given if _REQUEST_ID.fullmatch(given) else str(new_id())
        request.request_id = known  # type: ignore[attr-defined]
    return known


def read_object(request: HttpRequest) -> dict[str, Any]:
    """The body of a request as a JSON object.

    Raises InvalidJson for an empty body whatever its type, UnsupportedMediaType and BodyTooLarge before the
    body is read to its end, and what `parse_object` raises.
    """
    if not has_body(request):
        raise InvalidJson("The body is empty.")
    check_media_type(request.META)
    return parse_object(_limited_body(request))


def check_media_type(meta: Mapping[str, Any]) -> None:
    """Refuse every media type but JSON, every charset but UTF-8 and every encoding.

    Raises UnsupportedMediaType.
    """
    if meta.get("HTTP_CONTENT_ENCODING"):
        raise UnsupportedMediaType("A body is sent without a content encoding.")
    if not _CONTENT_TYPE.fullmatch(meta.get("CONTENT_TYPE", "")):
        raise UnsupportedMediaType


def has_body(request: HttpRequest) -> bool:
    """Whether the request announces a body of at least one byte."""
    return _is_chunked(request) or request.META.get("CONTENT_LENGTH") not in (None, "", "0")


def drain(request: HttpRequest) -> None:
    """Swallow what is still coming of a body that was refused, up to a bound and for a short time.

    A server that closes a connection with unread bytes resets it, and the caller would never see the refusal. A
    body that is announced as larger than the bound is left alone.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length[:20]) > _DRAIN_BYTES:
        return
    stream = _stream_of(request)
    until = time.monotonic() + _DRAIN_SECONDS
    left = _DRAIN_BYTES
    try:
        while left > 0 and time.monotonic() < until and (piece := stream.read(_CHUNK_BYTES)):
            left -= len(piece)
    except OSError:
        return


def _limited_body(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length[:20]) > MAX_BYTES:
        raise BodyTooLarge
    try:
        return _read_pieces(_stream_of(request))
    except OSError as error:
        raise InvalidJson("The body ended before its announced length.") from error


def _stream_of(request: HttpRequest) -> Any:
    """Django takes a body without a Content-Length for empty; the server has it in pieces."""
    chunked = not request.META.get("CONTENT_LENGTH") and _is_chunked(request)
    return request.META["wsgi.input"] if chunked else request


def _is_chunked(request: HttpRequest) -> bool:
    return "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()


def _read_pieces(stream: Any) -> bytes:
    body = bytearray()
    while piece := stream.read(_CHUNK_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
    return bytes(body)


class StrictJSONParser(BaseParser):
    """Reads every body for the framework's views; see `read_object`."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body as a dict."""
        request: Request = (parser_context or {})["request"]
        return read_object(request._request)


class JsonAlways(BaseContentNegotiation):
    """Answers JSON whatever the caller says that it accepts: no error hides behind a 406."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        """The one parser: it judges the media type itself."""
        parser: BaseParser = parsers[0]
        return parser

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The one renderer."""
        return renderers[0], renderers[0].media_type
