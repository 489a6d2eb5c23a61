"""Answers: JSON bytes, problems, and what an exception means to a caller."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from django.core.exceptions import BadRequest as DjangoBadRequest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions as framework

from common.api.border import API_PREFIX as API_PREFIX
from common.api.border import JSON_MEDIA_TYPE as JSON_MEDIA_TYPE
from common.api.requests import drain, request_id_of
from common.errors import (
    BadRequest,
    BodyTooLarge,
    FieldError,
    Forbidden,
    InternalError,
    InvalidCredentials,
    InvalidField,
    InvalidJson,
    MethodNotAllowed,
    NotFound,
    ProblemError,
    UnsupportedMediaType,
    known_errors,
    problem,
)
from common.idempotency import Answer
from common.strictjson import NumberText, child_pointer
from common.transactions import DATABASE_ERRORS, problem_of

logger = logging.getLogger(__name__)


def json_bytes(data: Any) -> bytes:
    """Compact JSON of an answer; UUIDs and times (RFC 3339) are written out. Amounts come in as strings."""
    return _ENCODER.encode(data)


def json_response(data: Any, *, status: int = 200) -> HttpResponse:
    """An answer of JSON."""
    return HttpResponse(json_bytes(data), status=status, content_type=JSON_MEDIA_TYPE)


def answer_response(answer: Answer) -> HttpResponse:
    """The HTTP form of an answer, marked when it was given before."""
    response = HttpResponse(answer.body, status=answer.status, content_type=JSON_MEDIA_TYPE)
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def problem_response(request: HttpRequest, error: BaseException) -> HttpResponse:
    """The problem+json answer to an exception of any kind. It never shows what went wrong inside."""
    status, body, headers = problem(problem_for(error), request_id_of(request))
    return _ProblemResponse(request, body, status=status, headers=headers)


class _ProblemResponse(HttpResponse):
    """Swallows what was not read of a refused body after the answer was sent."""

    def __init__(self, request: HttpRequest, body: bytes, **keywords: Any) -> None:
        super().__init__(body, **keywords)
        self._request = request

    def close(self) -> None:
        """Called by the server when it has sent the answer."""
        drain(self._request)
        super().close()


def problem_for(error: BaseException) -> ProblemError:
    """What an exception means to a caller; what is not expected is logged and becomes 500 internal_error."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, framework.APIException):
        return _framework_problem(error)
    if isinstance(error, DATABASE_ERRORS):
        return problem_of(error) or _unexpected(error)
    return _django_problem(error) or _unexpected(error)


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponseBase:
    """The framework's hook: renders whatever a view raised."""
    return problem_response(context["request"]._request, error)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler404."""
    if request.path.startswith(API_PREFIX):
        return problem_response(request, NotFound())
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400: a host that is not ours, or a request that is not well formed."""
    return problem_response(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler403."""
    if request.path.startswith(API_PREFIX):
        return problem_response(request, Forbidden())
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500."""
    if request.path.startswith(API_PREFIX):
        return problem_response(request, InternalError())
    return defaults.server_error(request)


def _framework_problem(error: framework.APIException) -> ProblemError:
    match error:
        case framework.ValidationError():
            return _validation_problem(error)
        case framework.AuthenticationFailed() | framework.NotAuthenticated():
            return InvalidCredentials()
        case framework.PermissionDenied():
            return Forbidden()
        case framework.NotFound():
            return NotFound()
        case framework.MethodNotAllowed():
            return MethodNotAllowed()
        case framework.UnsupportedMediaType():
            return UnsupportedMediaType()
        case framework.ParseError():
            return InvalidJson()
    return _unexpected(error)


def _validation_problem(error: framework.ValidationError) -> ProblemError:
    found = list(_field_errors("", error.detail))
    known = known_errors()
    problem_class = known.get(found[0].code, InvalidField) if found else InvalidField
    return problem_class(found[0].detail if found else None, errors=found)


def _field_errors(pointer: str, detail: Any) -> list[FieldError]:
    """The wrong places of a serializer's nested detail; a code of the framework's own is invalid_field."""
    if isinstance(detail, dict):
        return [
            item
            for name, member in detail.items()
            for item in _field_errors(
                pointer if name == "non_field_errors" else child_pointer(pointer, name), member
            )
        ]
    if isinstance(detail, list):
        nested = [isinstance(member, dict | list) for member in detail]
        return [
            item
            for index, member in enumerate(detail)
            for item in _field_errors(child_pointer(pointer, index) if nested[index] else pointer, member)
        ]
    code = getattr(detail, "code", "")
    return [FieldError(pointer, code if code in known_errors() else InvalidField.code, str(detail))]


def _django_problem(error: BaseException) -> ProblemError | None:
    match error:
        case Http404():
            return NotFound()
        case PermissionDenied():
            return Forbidden()
        case RequestDataTooBig():
            return BodyTooLarge()
        case UnreadablePostError():
            return InvalidJson("The body ended before its announced length.")
        case SuspiciousOperation() | DjangoBadRequest():
            return BadRequest()
    return None


def _unexpected(error: BaseException) -> InternalError:
    logger.error("api.internal_error", exc_info=error)
    return InternalError()


def _encode_own(value: Any) -> Any:
    if isinstance(value, NumberText):
        return msgspec.Raw(value.text.encode("ascii"))
    raise TypeError(f"{type(value).__name__} has no form in an answer")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_own)
