"""One address, two kinds of views: the gate's plain one for POST, the framework's for everything else."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.views import APIView

from common.api.views import PlainView


def post_or(post: PlainView, other: type[APIView]) -> Any:
    """A view that hands POST to the plain view. The schema sees the framework's view; plain paths describe POST."""
    framework_view = other.as_view()

    @csrf_exempt
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            return post(request, *args, **kwargs)
        response = framework_view(request, *args, **kwargs)
        if response.status_code == 405:
            response.headers["Allow"] = "GET, POST"
        return response

    view.cls = other  # type: ignore[attr-defined]
    view.initkwargs = {}  # type: ignore[attr-defined]
    return view
