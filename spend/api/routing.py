"""Addresses that this process shares with the gate: POST is answered by `web`, all else by the framework's view."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.views import APIView

from common.api.answers import problem_response
from common.errors import GateUnavailable


def beside_the_gate(other: type[APIView]) -> Any:
    """The view of such an address; a method that neither answers is told of POST, too.

    A POST comes here only when this process is asked past `web`: it has no gate, and says so.
    """
    framework_view = other.as_view()

    @csrf_exempt
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            return problem_response(request, GateUnavailable("The gate is answered by the process web."))
        response = framework_view(request, *args, **kwargs)
        if response.status_code == 405:
            response.headers["Allow"] = "GET, POST"
        return response

    view.cls = other  # type: ignore[attr-defined]
    view.initkwargs = {}  # type: ignore[attr-defined]
    return view
