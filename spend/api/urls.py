"""The addresses of this app under /v1/. The gate's plain views stand in `gate_urls`."""

from django.urls import path

from spend.api import budgets, gate
from spend.api.gate_urls import urlpatterns as gate_patterns
from spend.api.later import later

urlpatterns = [
    *gate_patterns,
    path("reservations", gate.RESERVE),
    path("usage", gate.USAGE),
    path("budgets", budgets.BudgetListView.as_view()),
    path("budgets/<str:name>", budgets.BudgetDetailView.as_view()),
    path("budgets/<str:name>/archive", budgets.BudgetArchiveView.as_view()),
    path("budgets/<str:name>/override", later("override")),
    path("rate-limits", later("rate_limits")),
    path("rate-limits/<str:name>", later("rate_limits")),
    path("kill-switches", later("kill_switches")),
    path("kill-switches/<str:name>", later("kill_switches")),
    path("runs/<str:name>/pause", later("pause")),
    path("runs/<str:name>/resume", later("resume")),
    path("runs/<str:name>/stop", later("stop")),
]
