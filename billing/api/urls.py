"""The addresses of this app under /v1/."""

from django.urls import URLPattern, path

from billing.api import plans

urlpatterns: list[URLPattern] = [
    path("plans", plans.PlanListView.as_view()),
    path("plans/<str:name>", plans.PlanDetailView.as_view()),
    path("plans/<str:name>/archive", plans.PlanArchiveView.as_view()),
    path("plans/<str:name>/price-preview", plans.PricePreviewView.as_view()),
    path("plans/<str:name>/versions", plans.PlanVersionListView.as_view()),
    path("plans/<str:name>/versions/<str:number>", plans.PlanVersionDetailView.as_view()),
    path("plans/<str:name>/versions/<str:number>/publish", plans.PlanVersionPublishView.as_view()),
]
