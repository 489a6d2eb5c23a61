"""The addresses of this app under /v1/."""

from django.urls import path

from events.api.log import EventLogView

urlpatterns = [path("event-log", EventLogView.as_view())]
