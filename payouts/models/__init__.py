"""The tables of payouts as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from payouts.models.marketplace import Listing as Listing
from payouts.models.marketplace import Partner as Partner
from payouts.models.marketplace import RevenueShare as RevenueShare
from payouts.models.metrics import RevenueMetrics as RevenueMetrics
