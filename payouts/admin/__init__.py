"""The staff's pages of payouts."""

from payouts.admin import partners as partners
from payouts.admin import paying as paying
from payouts.admin import shares as shares
from payouts.admin.metrics import RevenueMetricsAdmin as RevenueMetricsAdmin
