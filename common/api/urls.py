"""The API's description, for machines and for people."""

from django.urls import path
from drf_spectacular.views import SpectacularSwaggerSplitView

from common.api.openapi import openapi_json

urlpatterns = [
    path("openapi.json", openapi_json, name="openapi"),
    path(
        "docs",
        SpectacularSwaggerSplitView.as_view(url_name="openapi", authentication_classes=()),
        name="docs",
    ),
]
