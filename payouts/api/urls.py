"""Paths of the marketplace under /v1/."""

from django.urls import path

from payouts.api import listings, metric_urls, partners, paying_urls

urlpatterns = [
    *metric_urls.urlpatterns,
    path("partners", partners.PartnerListView.as_view()),
    path("partners/<str:name>", partners.PartnerDetailView.as_view()),
    path("partner", partners.OwnPartnerView.as_view()),
    path("partner/balance", partners.BalanceView.as_view()),
    path("partner/earnings", partners.EarningsView.as_view()),
    path("partner/earnings.csv", partners.EarningsCsvView.as_view()),
    path("listings", listings.ListingListView.as_view()),
    path("listings/<str:name>", listings.ListingDetailView.as_view()),
    path("listings/<str:name>/archive", listings.ListingArchiveView.as_view()),
    path("revenue-shares", listings.RevenueShareListView.as_view()),
    path("revenue-shares/<str:name>/withdraw", listings.RevenueShareWithdrawView.as_view()),
    *paying_urls.urlpatterns,
]
