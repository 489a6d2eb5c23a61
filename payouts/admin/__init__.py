"""The staff's pages of payouts."""

from payouts.admin import partners as partners
from payouts.admin.metrics import RevenueMetricsAdmin as RevenueMetricsAdmin
