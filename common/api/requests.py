"""The border of the API in Django: request ids and strict bodies; the rules stand in `border`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from common.api.border import (
    CHUNK_BYTES,
    DRAIN_BYTES,
    DRAIN_SECONDS,
    JSON_MEDIA_TYPE,
    announced_bytes,
    check_media_type,
    request_id,
)
from common.errors import BodyTooLarge, InvalidJson
from common.strictjson import MAX_BYTES, parse_object


def request_id_of(request: HttpRequest) -> str:
    """The id of this request: the caller's when it is plain, else an own one. It does not change."""
    known: str | None = getattr(request, "request_id", None)
    if known is None:
        known = request_id(request.headers.get("X-Request-Id"))
        request.request_id = known  # type: ignore[attr-defined]
    return known


def read_object(request: HttpRequest) -> dict[str, Any]:
    """The body of a request as a JSON object.

    Raises InvalidJson for an empty body whatever its type, UnsupportedMediaType and BodyTooLarge before the
    body is read to its end, and what `parse_object` raises.
    """
    if not has_body(request):
        raise InvalidJson("The body is empty.")
    check_media_type(request.META.get("CONTENT_TYPE", ""), request.META.get("HTTP_CONTENT_ENCODING"))
    return parse_object(limited_body(request))


def read_raw(request: HttpRequest) -> bytes:
    """The body of a request as it came, of whatever media type the caller has looked at.

    Raises InvalidJson for an empty body, UnsupportedMediaType for an encoded one, and BodyTooLarge before it is read to
    its end.
    """
    if not has_body(request):
        raise InvalidJson("The body is empty.")
    check_media_type(JSON_MEDIA_TYPE, request.META.get("HTTP_CONTENT_ENCODING"))
    return limited_body(request)


def has_body(request: HttpRequest) -> bool:
    """Whether the request announces a body of at least one byte."""
    return _is_chunked(request) or request.META.get("CONTENT_LENGTH") not in (None, "", "0")


def drain(request: HttpRequest) -> None:
    """Swallow what is still coming of a body that was refused, up to a bound and for a short time.

    A body that is announced as larger than the bound is left alone.
    """
    length = announced_bytes(request.META.get("CONTENT_LENGTH") or "0")
    if length is None or length > DRAIN_BYTES:
        return
    stream = _stream_of(request)
    until = time.monotonic() + DRAIN_SECONDS
    left = DRAIN_BYTES
    try:
        while left > 0 and time.monotonic() < until and (piece := stream.read(CHUNK_BYTES)):
            left -= len(piece)
    except OSError:
        return


def limited_body(request: HttpRequest) -> bytes:
    """The bytes of a body exactly as they came, whatever they are called. Raises BodyTooLarge before they are read to
    their end, and InvalidJson where they end before their announced length."""
    if (announced_bytes(request.META.get("CONTENT_LENGTH")) or 0) > MAX_BYTES:
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
    while piece := stream.read(CHUNK_BYTES):
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
