"""The tables of payouts as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from payouts.models.marketplace import Listing as Listing
from payouts.models.marketplace import Partner as Partner
from payouts.models.marketplace import RevenueShare as RevenueShare
from payouts.models.metrics import RevenueMetrics as RevenueMetrics
from payouts.models.paying import PartnerStatement as PartnerStatement
from payouts.models.paying import Payout as Payout
from payouts.models.paying import PayoutBatch as PayoutBatch
