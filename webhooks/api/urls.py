"""The addresses of this app under /v1/; where Stripe delivers is `doors`, which `web` answers."""

from django.urls import URLPattern, path

from webhooks.api import deliveries, endpoints, inbound, provider_bills, reconciliations

urlpatterns: list[URLPattern] = [
    path("stripe-events", inbound.StripeEventListView.as_view()),
    path("stripe-events/<str:name>", inbound.StripeEventDetailView.as_view()),
    path("stripe-events/<str:name>/replay", inbound.StripeEventReplayView.as_view()),
    path("webhook-endpoints", endpoints.EndpointListView.as_view()),
    path("webhook-endpoints/<str:name>", endpoints.EndpointDetailView.as_view()),
    path("webhook-endpoints/<str:name>/archive", endpoints.EndpointArchiveView.as_view()),
    path("webhook-endpoints/<str:name>/rotate-secret", endpoints.EndpointRotateView.as_view()),
    path("webhook-endpoints/<str:name>/test", endpoints.EndpointTestView.as_view()),
    path("webhook-endpoints/<str:name>/replay", endpoints.EndpointReplayView.as_view()),
    path("webhook-deliveries", deliveries.DeliveryListView.as_view()),
    path("webhook-deliveries/<str:name>", deliveries.DeliveryDetailView.as_view()),
    path("webhook-deliveries/<str:name>/replay", deliveries.DeliveryReplayView.as_view()),
    path("reconciliations", reconciliations.ReconciliationListView.as_view()),
    path("reconciliations/<str:name>", reconciliations.ReconciliationDetailView.as_view()),
    path("reconciliations/<str:name>/differences", reconciliations.DifferenceListView.as_view()),
    path("suspense", reconciliations.SuspenseListView.as_view()),
    path("suspense/<str:name>", reconciliations.SuspenseDetailView.as_view()),
    path("suspense/<str:name>/assign", reconciliations.SuspenseAssignView.as_view()),
    path("suspense/<str:name>/mark-foreign", reconciliations.SuspenseForeignView.as_view()),
    path("provider-bills", provider_bills.BillListView.as_view()),
    path("provider-bills/<str:name>", provider_bills.BillDetailView.as_view()),
    path("provider-bills/<str:name>/book", provider_bills.BillBookView.as_view()),
    path("webhook-event-types", endpoints.EventTypeListView.as_view()),
]
