"""The addresses of this app: under /v1/, and where Stripe delivers."""

from django.urls import URLPattern, path

from webhooks.api import doors, inbound

urlpatterns: list[URLPattern] = [
    path("stripe-events", inbound.StripeEventListView.as_view()),
    path("stripe-events/<str:name>", inbound.StripeEventDetailView.as_view()),
    path("stripe-events/<str:name>/replay", inbound.StripeEventReplayView.as_view()),
]

# A redirect would be a failed delivery, so the addresses are good with and without the last slash.
door_urlpatterns: list[URLPattern] = [
    path("stripe", doors.platform_door),
    path("stripe/", doors.platform_door),
    path("stripe/connect", doors.connect_door),
    path("stripe/connect/", doors.connect_door),
]
