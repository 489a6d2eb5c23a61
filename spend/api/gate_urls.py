"""Routes of the gate's plain views. GET on the same addresses is routed by `spend.api.urls`."""

from django.urls import path

from spend.api import gate

urlpatterns = [
    path("reservations/batch", gate.RESERVE_BATCH),
    path("reservations/commit_batch", gate.COMMIT_BATCH),
    path("reservations/<str:reservation>/commit", gate.COMMIT),
    path("reservations/<str:reservation>/release", gate.RELEASE),
    path("reservations/<str:reservation>/extend", gate.EXTEND),
    path("usage/batch", gate.USAGE_BATCH),
]
