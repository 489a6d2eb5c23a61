"""The addresses of payouts, payout accounts and statements under /v1/."""

from django.urls import URLPattern, path

from payouts.api import accounts, payouts, statements

urlpatterns: list[URLPattern] = [
    path("partner/account", accounts.PartnerAccountView.as_view()),
    path("partner/account/refresh", accounts.PartnerAccountRefreshView.as_view()),
    path("partner/payouts", payouts.PartnerPayoutListView.as_view()),
    path("partner/payouts/<str:name>", payouts.PartnerPayoutDetailView.as_view()),
    path("partner/payouts/<str:name>/cancel", payouts.PartnerPayoutCancelView.as_view()),
    path("partner/statements", statements.StatementListView.as_view()),
    path("partner/statements/<str:month>.pdf", statements.StatementPdfView.as_view()),
    path("partner/statements/<str:month>.csv", statements.StatementCsvView.as_view()),
    path("partner/statements/<str:month>", statements.StatementDetailView.as_view()),
    path("payouts", payouts.PayoutListView.as_view()),
    path("payouts/batch", payouts.PayoutBatchView.as_view()),
    path("payouts/batches/<str:name>", payouts.PayoutBatchDetailView.as_view()),
    path("payouts/<str:name>", payouts.PayoutDetailView.as_view()),
    path("payouts/<str:name>/approve", payouts.PayoutApproveView.as_view()),
    path("payouts/<str:name>/reject", payouts.PayoutRejectView.as_view()),
    path("payouts/<str:name>/hold", payouts.PayoutHoldView.as_view()),
    path("payouts/<str:name>/release", payouts.PayoutReleaseView.as_view()),
    path("payouts/<str:name>/retry", payouts.PayoutRetryView.as_view()),
    path("payouts/<str:name>/reverse", payouts.PayoutReverseView.as_view()),
]
