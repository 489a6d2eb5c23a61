"""The addresses of this app under /v1/. `GET` and `POST /v1/organizations` are mounted by the ledger, pausing and
resuming agents by `spend`."""

from django.urls import path

from orgs.api import api_keys, event_log, members, organizations, subjects

_KEYS = "organizations/<str:name>/api-keys"

urlpatterns = [
    path("organizations/<str:name>", organizations.OrganizationDetailView.as_view()),
    path("organizations/<str:name>/archive", organizations.OrganizationArchiveView.as_view()),
    path("organizations/<str:name>/clock", organizations.OrganizationClockView.as_view()),
    path("organizations/<str:name>/clock/advance", organizations.OrganizationClockAdvanceView.as_view()),
    path(_KEYS, api_keys.ApiKeyListView.as_view()),
    path(f"{_KEYS}/<str:key>", api_keys.ApiKeyDetailView.as_view()),
    path(f"{_KEYS}/<str:key>/revoke", api_keys.ApiKeyRevokeView.as_view()),
    path(f"{_KEYS}/<str:key>/rotate", api_keys.ApiKeyRotateView.as_view()),
    path("event-log", event_log.EventLogView.as_view()),
    path("members", members.MemberListView.as_view()),
    path("members/<str:name>", members.MemberDetailView.as_view()),
    path("members/<str:name>/archive", members.MemberArchiveView.as_view()),
    path("teams", subjects.TeamListView.as_view()),
    path("teams/<str:name>", subjects.TeamDetailView.as_view()),
    path("teams/<str:name>/archive", subjects.TeamArchiveView.as_view()),
    path("agents", subjects.AgentListView.as_view()),
    path("agents/<str:name>", subjects.AgentDetailView.as_view()),
    path("agents/<str:name>/archive", subjects.AgentArchiveView.as_view()),
    path("workflows", subjects.WorkflowListView.as_view()),
    path("workflows/<str:name>", subjects.WorkflowDetailView.as_view()),
    path("workflows/<str:name>/archive", subjects.WorkflowArchiveView.as_view()),
    path("connections", subjects.ConnectionListView.as_view()),
    path("connections/<str:name>", subjects.ConnectionDetailView.as_view()),
    path("connections/<str:name>/archive", subjects.ConnectionArchiveView.as_view()),
]
