"""The addresses of this app under /v1/."""

from django.urls import URLPattern, path

from billing.api import backfills, meterevents, meters, plans

urlpatterns: list[URLPattern] = [
    path("meters", meters.MeterListView.as_view()),
    path("meters/<str:name>", meters.MeterDetailView.as_view()),
    path("meters/<str:name>/archive", meters.MeterArchiveView.as_view()),
    path("meters/<str:name>/quantities", meters.MeterQuantitiesView.as_view()),
    path("events", meterevents.EventListView.as_view()),
    path("events/batch", meterevents.EventBatchView.as_view()),
    path("events/<str:name>", meterevents.EventDetailView.as_view()),
    path("events/<str:name>/amend", meterevents.EventAmendView.as_view()),
    path("events/<str:name>/void", meterevents.EventVoidView.as_view()),
    path("event-backfills", backfills.BackfillListView.as_view()),
    path("event-backfills/<str:name>", backfills.BackfillDetailView.as_view()),
    path("event-backfills/<str:name>/events", backfills.BackfillEventsView.as_view()),
    path("event-backfills/<str:name>/revert", backfills.BackfillRevertView.as_view()),
    path("plans", plans.PlanListView.as_view()),
    path("plans/<str:name>", plans.PlanDetailView.as_view()),
    path("plans/<str:name>/archive", plans.PlanArchiveView.as_view()),
    path("plans/<str:name>/price-preview", plans.PricePreviewView.as_view()),
    path("plans/<str:name>/versions", plans.PlanVersionListView.as_view()),
    path("plans/<str:name>/versions/<str:number>", plans.PlanVersionDetailView.as_view()),
    path("plans/<str:name>/versions/<str:number>/publish", plans.PlanVersionPublishView.as_view()),
]
