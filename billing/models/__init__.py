"""Billing's tables as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from billing.models.catalog import BillingProfile as BillingProfile
from billing.models.catalog import Coupon as Coupon
from billing.models.catalog import LegalEntity as LegalEntity
from billing.models.catalog import Plan as Plan
from billing.models.catalog import PlanVersion as PlanVersion
from billing.models.contracts import Contract as Contract
from billing.models.contracts import ContractWindow as ContractWindow
from billing.models.subscriptions import MeteredPeriod as MeteredPeriod
from billing.models.subscriptions import Subscription as Subscription
