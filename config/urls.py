"""All paths. An app's API is mounted when it exists: each app has `api/urls.py` with `urlpatterns`."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from config import health

_API = ("common", "orgs", "ledger", "spend", "billing", "payouts", "webhooks", "events")


def _api_of(app: str) -> bool:
    return find_spec(f"{app}.api") is not None and find_spec(f"{app}.api.urls") is not None


admin.site.site_header = admin.site.site_title = "Counterfoil"
admin.site.site_url = None  # there is no page at "/" to go back to

urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("admin/", admin.site.urls),
    *(path("v1/", include(f"{app}.api.urls")) for app in _API if _api_of(app)),
]

handler400 = "common.api.answers.bad_request"
handler403 = "common.api.answers.permission_denied"
handler404 = "common.api.answers.not_found"
handler500 = "common.api.answers.server_error"
