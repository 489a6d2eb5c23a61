"""The tables of payouts as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from payouts.models.metrics import RevenueMetrics as RevenueMetrics
