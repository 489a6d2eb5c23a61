"""Billing's tables as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from billing.models.catalog import BillingProfile as BillingProfile
from billing.models.catalog import Coupon as Coupon
from billing.models.catalog import LegalEntity as LegalEntity
from billing.models.catalog import Plan as Plan
from billing.models.catalog import PlanVersion as PlanVersion
from billing.models.contracts import Contract as Contract
from billing.models.contracts import ContractWindow as ContractWindow
from billing.models.invoices import BillingRun as BillingRun
from billing.models.invoices import CreditNote as CreditNote
from billing.models.invoices import Invoice as Invoice
from billing.models.metering import EventBackfill as EventBackfill
from billing.models.metering import Meter as Meter
from billing.models.metering import MeterEvent as MeterEvent
from billing.models.mirroring import CreditPrice as CreditPrice
from billing.models.mirroring import MirroredCustomer as MirroredCustomer
from billing.models.mirroring import MirroredInvoice as MirroredInvoice
from billing.models.mirroring import MirroredSubscription as MirroredSubscription
from billing.models.recognition import AccountingPeriod as AccountingPeriod
from billing.models.recognition import MonthReport as MonthReport
from billing.models.recognition import RecognitionSchedule as RecognitionSchedule
from billing.models.subscriptions import MeteredPeriod as MeteredPeriod
from billing.models.subscriptions import Subscription as Subscription
