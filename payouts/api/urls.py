"""Paths of payouts below /v1/."""

from payouts.api import metric_urls

urlpatterns = [*metric_urls.urlpatterns]
