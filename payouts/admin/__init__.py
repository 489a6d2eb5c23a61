"""The staff's pages of payouts."""

from payouts.admin.metrics import RevenueMetricsAdmin as RevenueMetricsAdmin
