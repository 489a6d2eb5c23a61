"""The tables of this app as Django reads them: unmanaged, for the staff's pages; only operations write them."""

from webhooks.models.inbound import StripeEvent as StripeEvent
from webhooks.models.inbound import StripeWatermark as StripeWatermark
from webhooks.models.outbound import WebhookDelivery as WebhookDelivery
from webhooks.models.outbound import WebhookEndpoint as WebhookEndpoint
from webhooks.models.reconciling import ProcessorItem as ProcessorItem
from webhooks.models.reconciling import ProviderBill as ProviderBill
from webhooks.models.reconciling import Reconciliation as Reconciliation
from webhooks.models.reconciling import ReconciliationDifference as ReconciliationDifference
