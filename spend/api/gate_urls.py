"""Routes of the gate's plain views; where an address also has a GET, the framework's view answers that."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from spend.api import gate

View = Callable[..., HttpResponseBase]


def hot_post(post: View, rest: View) -> View:
    """Return the view that answers POST itself and leaves every other method to `rest`."""

    @csrf_exempt
    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return post(request) if request.method == "POST" else rest(request, *args, **kwargs)

    return view


urlpatterns = [
    path("reservations/batch", gate.RESERVE_BATCH),
    path("reservations/commit_batch", gate.COMMIT_BATCH),
    path("reservations/<str:reservation>/commit", gate.COMMIT),
    path("reservations/<str:reservation>/release", gate.RELEASE),
    path("reservations/<str:reservation>/extend", gate.EXTEND),
    path("usage/batch", gate.USAGE_BATCH),
]
