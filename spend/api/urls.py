"""The addresses of this app under /v1/ that Django answers. The gate's own stand in `gate`; `web` answers them."""

from django.urls import path

from spend.api import budgets, decisions, reports, reservations, runs, usage
from spend.api.later import later
from spend.api.routing import beside_the_gate

urlpatterns = [
    path("reservations", beside_the_gate(reservations.ReservationListView)),
    path("reservations/<str:name>", reservations.ReservationDetailView.as_view()),
    path("usage", beside_the_gate(usage.UsageListView)),
    path("usage/attribution", reports.AttributionView.as_view()),
    path("reports/uncapped", reports.UncappedView.as_view()),
    path("usage/<str:name>", usage.UsageDetailView.as_view()),
    path("decisions", decisions.DecisionListView.as_view()),
    path("runs", runs.RunListView.as_view()),
    path("runs/<str:name>", runs.RunDetailView.as_view()),
    path("runs/<str:name>/pause", later("pause")),
    path("runs/<str:name>/resume", later("resume")),
    path("runs/<str:name>/stop", later("stop")),
    path("budgets", budgets.BudgetListView.as_view()),
    path("budgets/<str:name>", budgets.BudgetDetailView.as_view()),
    path("budgets/<str:name>/archive", budgets.BudgetArchiveView.as_view()),
    path("budgets/<str:name>/override", later("override")),
    path("rate-limits", later("rate_limits")),
    path("rate-limits/<str:name>", later("rate_limits")),
    path("kill-switches", later("kill_switches")),
    path("kill-switches/<str:name>", later("kill_switches")),
]
