"""The addresses of the ledger under /v1/."""

from django.urls import path

from ledger.api import adjustments, credits, journal, organizations

urlpatterns = [
    path("organizations", organizations.OrganizationListView.as_view()),
    path("balance", credits.BalanceView.as_view()),
    path("funding", credits.FundingView.as_view()),
    path("credits/grants", credits.GrantListView.as_view()),
    path("credits/grants/<str:name>", credits.GrantDetailView.as_view()),
    path("credits/grants/<str:name>/refund", credits.GrantRefundView.as_view()),
    path("credits/clawbacks", credits.ClawbackListView.as_view()),
    path("entries", journal.EntryListView.as_view()),
    path("entries/<str:name>", journal.EntryDetailView.as_view()),
    path("entries/<str:name>/reverse", journal.EntryReverseView.as_view()),
    path("accounts", journal.AccountListView.as_view()),
    path("accounts/<str:name>", journal.AccountDetailView.as_view()),
    path("accounts/<str:name>/statement", journal.StatementView.as_view()),
    path("trial-balance", journal.TrialBalanceView.as_view()),
    path("adjustments", adjustments.AdjustmentListView.as_view()),
    path("adjustments/<str:name>", adjustments.AdjustmentDetailView.as_view()),
    path("adjustments/<str:name>/approve", adjustments.AdjustmentApproveView.as_view()),
    path("adjustments/<str:name>/reject", adjustments.AdjustmentRejectView.as_view()),
]
