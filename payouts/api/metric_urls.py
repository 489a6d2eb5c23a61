"""Paths of revenue metrics below /v1/."""

from django.urls import path

from payouts.api import metric_files as files
from payouts.api import metrics

urlpatterns = [
    path("metrics/mrr", metrics.MrrView.as_view()),
    path("metrics/mrr.csv", files.MrrCsvView.as_view()),
    path("metrics/movements", metrics.MovementsView.as_view()),
    path("metrics/movements.csv", files.MovementsCsvView.as_view()),
    path("metrics/retention", metrics.RetentionView.as_view()),
    path("metrics/retention.csv", files.RetentionCsvView.as_view()),
    path("metrics/cohorts", metrics.CohortsView.as_view()),
    path("metrics/cohorts.csv", files.CohortsCsvView.as_view()),
    path("metrics/revenue", metrics.RevenueView.as_view()),
    path("metrics/revenue.csv", files.RevenueCsvView.as_view()),
    path("metrics/margins", metrics.MarginsView.as_view()),
    path("metrics/margins.csv", files.MarginsCsvView.as_view()),
    path("metrics/top-customers", metrics.TopCustomersView.as_view()),
    path("metrics/top-customers.csv", files.TopCustomersCsvView.as_view()),
    path("metrics/top-agents", metrics.TopAgentsView.as_view()),
    path("metrics/top-agents.csv", files.TopAgentsCsvView.as_view()),
    path("metrics/concentration", metrics.ConcentrationView.as_view()),
    path("metrics/concentration.csv", files.ConcentrationCsvView.as_view()),
    path("metrics/run-rate", metrics.RunRateView.as_view()),
    path("metrics/run-rate.csv", files.RunRateCsvView.as_view()),
]
