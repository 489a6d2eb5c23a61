"""The addresses of this app under /v1/ that Django answers. The gate's own stand in `gate`; `web` answers them."""

from django.urls import path

from spend.api import budgets, decisions, pace, prices, rates, reports, reservations, runs, usage
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
    path("burn-rates", pace.BurnRatesView.as_view()),
    path("velocity-rules", pace.VelocityRuleListView.as_view()),
    path("velocity-rules/<str:name>", pace.VelocityRuleDetailView.as_view()),
    path("velocity-rules/<str:name>/archive", pace.VelocityRuleArchiveView.as_view()),
    path("price-changes", prices.PriceChangeListView.as_view()),
    path("price-changes/<str:name>", prices.PriceChangeDetailView.as_view()),
    path("price-changes/<str:name>/approve", prices.PriceChangeApproveView.as_view()),
    path("price-changes/<str:name>/reject", prices.PriceChangeRejectView.as_view()),
    path("prices", prices.PriceListView.as_view()),
    path("prices/<str:name>", prices.PriceDetailView.as_view()),
    path("prices/<str:name>/end", prices.PriceEndView.as_view()),
    path("tool-prices", rates.ToolPriceListView.as_view()),
    path("tool-prices/<str:name>", rates.ToolPriceDetailView.as_view()),
    path("tool-prices/<str:name>/end", rates.ToolPriceEndView.as_view()),
    path("markups", rates.MarkupListView.as_view()),
    path("markups/<str:name>", rates.MarkupDetailView.as_view()),
    path("markups/<str:name>/end", rates.MarkupEndView.as_view()),
    path("exchange-rates", rates.ExchangeRateListView.as_view()),
    path("exchange-rates/<str:name>", rates.ExchangeRateDetailView.as_view()),
    path("exchange-rates/<str:name>/end", rates.ExchangeRateEndView.as_view()),
    path("rate-limits", later("rate_limits")),
    path("rate-limits/<str:name>", later("rate_limits")),
    path("kill-switches", later("kill_switches")),
    path("kill-switches/<str:name>", later("kill_switches")),
]
