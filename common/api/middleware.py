"""What surrounds every request: its id, the last line of defence for plain views, and cookies that stay on TLS."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from common.api.answers import API_PREFIX, problem_response
from common.api.requests import request_id_of
from common.errors import ProblemError


class RequestIdMiddleware:
    """Gives every request an id and every answer the header X-Request-Id.

    An exception that a plain view of the API lets through is answered as a problem, as the framework's
    views do.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request)
        response = self._get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Django's hook for what a view raised."""
        if request.path.startswith(API_PREFIX) or isinstance(exception, ProblemError):
            return problem_response(request, exception)
        return None


class SecureCookiesMiddleware:
    """Marks every cookie of an answer to a request that came over TLS, so that a browser sends it over nothing else.

    Whether it did is only known request by request: TLS ends at a proxy, which says so in X-Forwarded-Proto.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response
