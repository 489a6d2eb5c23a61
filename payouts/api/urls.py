"""The addresses of this app under /v1/."""

from django.urls import URLPattern

from payouts.api import paying_urls

urlpatterns: list[URLPattern] = [*paying_urls.urlpatterns]
