"""The addresses of this app under /v1/."""

from django.urls import URLPattern, path

from webhooks.api import deliveries, endpoints

urlpatterns: list[URLPattern] = [
    path("webhook-endpoints", endpoints.EndpointListView.as_view()),
    path("webhook-endpoints/<str:name>", endpoints.EndpointDetailView.as_view()),
    path("webhook-endpoints/<str:name>/archive", endpoints.EndpointArchiveView.as_view()),
    path("webhook-endpoints/<str:name>/rotate-secret", endpoints.EndpointRotateView.as_view()),
    path("webhook-endpoints/<str:name>/test", endpoints.EndpointTestView.as_view()),
    path("webhook-endpoints/<str:name>/replay", endpoints.EndpointReplayView.as_view()),
    path("webhook-deliveries", deliveries.DeliveryListView.as_view()),
    path("webhook-deliveries/<str:name>", deliveries.DeliveryDetailView.as_view()),
    path("webhook-deliveries/<str:name>/replay", deliveries.DeliveryReplayView.as_view()),
    path("webhook-event-types", endpoints.EventTypeListView.as_view()),
]
