"""The addresses of the ledger under /v1/."""

from django.urls import path

from ledger.api import credits, organizations

urlpatterns = [
    path("organizations", organizations.OrganizationListView.as_view()),
    path("balance", credits.BalanceView.as_view()),
    path("credits/grants", credits.GrantListView.as_view()),
]
