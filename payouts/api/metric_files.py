"""/v1/metrics/*.csv: the reports as files."""

from payouts.api import metrics


@metrics.filed()
class MrrCsvView(metrics.CsvView, metrics.MrrView):
    """GET /v1/metrics/mrr.csv."""


@metrics.filed()
class MovementsCsvView(metrics.CsvView, metrics.MovementsView):
    """GET /v1/metrics/movements.csv."""


@metrics.filed()
class RetentionCsvView(metrics.CsvView, metrics.RetentionView):
    """GET /v1/metrics/retention.csv."""


@metrics.filed()
class CohortsCsvView(metrics.CsvView, metrics.CohortsView):
    """GET /v1/metrics/cohorts.csv."""


@metrics.filed()
class RevenueCsvView(metrics.CsvView, metrics.RevenueView):
    """GET /v1/metrics/revenue.csv."""


@metrics.filed(metrics.GROUP_BY)
class MarginsCsvView(metrics.CsvView, metrics.MarginsReport):
    """GET /v1/metrics/margins.csv."""


@metrics.filed(metrics.LIMIT)
class TopCustomersCsvView(metrics.CsvView, metrics.TopCustomersView):
    """GET /v1/metrics/top-customers.csv."""


@metrics.filed(metrics.LIMIT)
class TopAgentsCsvView(metrics.CsvView, metrics.TopAgentsView):
    """GET /v1/metrics/top-agents.csv."""


@metrics.filed(metrics.LIMIT, metrics.BASIS)
class ConcentrationCsvView(metrics.CsvView, metrics.ConcentrationView):
    """GET /v1/metrics/concentration.csv."""


@metrics.filed()
class RunRateCsvView(metrics.CsvView, metrics.RunRateView):
    """GET /v1/metrics/run-rate.csv."""
