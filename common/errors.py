"""The refusals that every part of the house may answer with, and how one becomes an RFC 9457 problem.

An error class is the contract: its `code`, `status` and `retryable` never change once published, and its
docstring is the message a caller reads when the raiser had nothing more precise to say. Business words keep
their own classes beside the operation that raises them; they derive from `ProblemError`, too. Nothing here
knows Django, so that a thin server in front of it renders the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

PROBLEM_MEDIA_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:counterfoil:problem:"
_OWN_MEMBERS = frozenset(
    {"type", "title", "status", "detail", "code", "request_id", "retryable", "retry_after", "errors"}
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong place in a request: a JSON pointer (RFC 6901), the code and the reason."""

    pointer: str
    code: str
    detail: str


class ProblemError(Exception):
    """The request was refused."""

    code: ClassVar[str] = ""
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    title: ClassVar[str] = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        pointer: str | None = None,
        errors: Iterable[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.detail = detail or default_detail(type(self))
        self.errors = list(errors)
        if pointer is not None:
            self.errors.append(FieldError(pointer, self.code, self.detail))
        self.extra = dict(extra or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        super().__init__(self.detail)


def default_detail(error_class: type[ProblemError]) -> str:
    """The first line of a class's docstring: its message when the raiser gave none."""
    return (error_class.__doc__ or "").strip().split("\n")[0]


def default_title(error_class: type[ProblemError]) -> str:
    """The short title of a class: its own, else its code in words."""
    return error_class.title or error_class.code.replace("_", " ").capitalize()


def known_errors() -> dict[str, type[ProblemError]]:
    """Every error class that is imported in this process and has a code, by code.

    Two classes may share a code only when one derives from the other; the base stands for both.
    """
    found: dict[str, type[ProblemError]] = {}
    pending: list[type[ProblemError]] = [ProblemError]
    while pending:
        error_class = pending.pop(0)
        pending.extend(error_class.__subclasses__())
        if error_class.code:
            found.setdefault(error_class.code, error_class)
    return dict(sorted(found.items()))


def combined(errors: Iterable[ProblemError]) -> ProblemError:
    """One error for several wrong fields: the first decides code and status, all are listed by pointer."""
    listed = list(errors)
    first = listed[0]
    if len(listed) > 1:
        first.errors = [field_error for error in listed for field_error in error.errors]
    return first


def problem(error: ProblemError, request_id: str) -> tuple[int, bytes, dict[str, str]]:
    """Render an error as (status, body, headers) of an `application/problem+json` answer."""
    body: dict[str, Any] = {
        "type": _TYPE_PREFIX + error.code,
        "title": default_title(type(error)),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "retryable": error.retryable,
    }
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    if error.errors:
        body["errors"] = [
            {"pointer": item.pointer, "code": item.code, "detail": item.detail} for item in error.errors
        ]
    body.update((name, value) for name, value in error.extra.items() if name not in _OWN_MEMBERS)
    headers = {"Content-Type": PROBLEM_MEDIA_TYPE, "Cache-Control": "no-store", **error.headers}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return error.status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), headers


class BadRequest(ProblemError):
    """The request is not well formed."""

    code = "bad_request"
    status = 400


class InvalidJson(ProblemError):
    """The body is not one JSON object in UTF-8, at most 32 levels deep."""

    code = "invalid_json"
    status = 400
    title = "Invalid JSON"


class DuplicateKey(ProblemError):
    """A key occurs twice in one JSON object."""

    code = "duplicate_key"
    status = 400


class UnknownField(ProblemError):
    """The field is not known here."""

    code = "unknown_field"
    status = 400


class ReadOnlyField(ProblemError):
    """The field is set by the server and cannot be given."""

    code = "read_only_field"
    status = 400
    title = "Read-only field"


class InvalidText(ProblemError):
    """The text holds NUL, a lone surrogate, a control or a format character."""

    code = "invalid_text"
    status = 400


class InvalidField(ProblemError):
    """The field's value has the wrong type, length or value."""

    code = "invalid_field"
    status = 400


class InvalidAmount(ProblemError):
    """An amount is a string of up to 11 integer digits and up to 8 decimals, without sign or exponent."""

    code = "invalid_amount"
    status = 400


class InvalidQuantity(ProblemError):
    """A quantity is an integer from 0 to 10^12, a metered one a string with up to 12 decimals."""

    code = "invalid_quantity"
    status = 400


class InvalidCurrency(ProblemError):
    """A currency is the upper-case code of a currency that is in use, such as USD."""

    code = "invalid_currency"
    status = 400


class InvalidId(ProblemError):
    """An id is a lower-case, hyphenated UUID."""

    code = "invalid_id"
    status = 400
    title = "Invalid id"


class InvalidMetadata(ProblemError):
    """Metadata is an object of up to 50 keys of 40 characters, with text values of up to 500 characters."""

    code = "invalid_metadata"
    status = 400


class InvalidDatetime(ProblemError):
    """A time is written as in RFC 3339 with an offset, a date as YYYY-MM-DD, in the years 1970 to 9998."""

    code = "invalid_datetime"
    status = 400


class NaiveDatetime(ProblemError):
    """The time has no offset from UTC."""

    code = "naive_datetime"
    status = 400
    title = "Time without an offset"


class InvalidPeriod(ProblemError):
    """The end of a period lies after its start."""

    code = "invalid_period"
    status = 400


class NonexistentLocalTime(ProblemError):
    """This local time does not exist in its time zone: the clocks are put forward over it."""

    code = "nonexistent_local_time"
    status = 400


class InvalidParameter(ProblemError):
    """The query parameter's value is not allowed."""

    code = "invalid_parameter"
    status = 400


class UnknownParameter(ProblemError):
    """The query parameter is not known here."""

    code = "unknown_parameter"
    status = 400


class InvalidCursor(ProblemError):
    """The cursor was not given out for this list."""

    code = "invalid_cursor"
    status = 400


class NotAvailableYet(ProblemError):
    """This is part of the interface, but not available yet."""

    code = "not_available_yet"
    status = 400


class IdempotencyKeyRequired(ProblemError):
    """This call moves or holds money and needs an Idempotency-Key header."""

    code = "idempotency_key_required"
    status = 400


class IdempotencyKeyInvalid(ProblemError):
    """An idempotency key is 1 to 255 printable ASCII characters."""

    code = "idempotency_key_invalid"
    status = 400


class BodyTooLarge(ProblemError):
    """A body has at most 1,048,576 bytes."""

    code = "body_too_large"
    status = 413


class UnsupportedMediaType(ProblemError):
    """A body is sent as application/json in UTF-8, without a content encoding."""

    code = "unsupported_media_type"
    status = 415


class InvalidCredentials(ProblemError):
    """No valid credentials were given."""

    code = "invalid_credentials"
    status = 401


class Forbidden(ProblemError):
    """These credentials do not allow this."""

    code = "forbidden"
    status = 403


class MakerCannotApprove(ProblemError):
    """Whoever proposed this cannot approve it."""

    code = "maker_cannot_approve"
    status = 403
    title = "The maker cannot approve"


class NotFound(ProblemError):
    """There is no such object."""

    code = "not_found"
    status = 404


class MethodNotAllowed(ProblemError):
    """This address does not answer to this method."""

    code = "method_not_allowed"
    status = 405


class IdempotencyInFlight(ProblemError):
    """The first call with this idempotency key is still running."""

    code = "idempotency_in_flight"
    status = 409
    retryable = True


class NameConflict(ProblemError):
    """The name is taken, or looks like one that is taken."""

    code = "name_conflict"
    status = 409


class InvalidTransition(ProblemError):
    """The object's state does not allow this."""

    code = "invalid_transition"
    status = 409


class IdempotencyKeyReused(ProblemError):
    """This idempotency key was accepted before with another body, method or path."""

    code = "idempotency_key_reused"
    status = 422


class AmountExceedsAvailable(ProblemError):
    """The amount is more than there is."""

    code = "amount_exceeds_available"
    status = 422


class AmountOutOfRange(ProblemError):
    """The sum leaves the range of an amount."""

    code = "amount_out_of_range"
    status = 422


class CurrencyMismatch(ProblemError):
    """The currency differs from the stored object's."""

    code = "currency_mismatch"
    status = 422


class HierarchyCycle(ProblemError):
    """The hierarchy would contain itself."""

    code = "hierarchy_cycle"
    status = 422


class InternalError(ProblemError):
    """Something failed here; the same idempotency key will tell what became of the call."""

    code = "internal_error"
    status = 500


class BadGateway(ProblemError):
    """The process behind this one ended in the middle of the call; repeat it with the same idempotency key."""

    code = "bad_gateway"
    status = 502
    retryable = True


class ServiceUnavailable(ProblemError):
    """The call cannot be answered at the moment; repeat it with the same idempotency key."""

    code = "service_unavailable"
    status = 503
    retryable = True


class GateUnavailable(ServiceUnavailable):
    """The gate cannot decide at the moment; repeat the call with the same idempotency key."""

    code = "gate_unavailable"
