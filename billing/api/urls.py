"""The addresses of this app under /v1/."""

from django.urls import URLPattern, path

from billing.api import coupons, entitlements, plans, profiles, sellers, subscriptions

urlpatterns: list[URLPattern] = [
    path("plans", plans.PlanListView.as_view()),
    path("plans/<str:name>", plans.PlanDetailView.as_view()),
    path("plans/<str:name>/archive", plans.PlanArchiveView.as_view()),
    path("plans/<str:name>/price-preview", plans.PricePreviewView.as_view()),
    path("plans/<str:name>/versions", plans.PlanVersionListView.as_view()),
    path("plans/<str:name>/versions/<str:number>", plans.PlanVersionDetailView.as_view()),
    path("plans/<str:name>/versions/<str:number>/publish", plans.PlanVersionPublishView.as_view()),
    path("coupons", coupons.CouponListView.as_view()),
    path("coupons/<str:name>", coupons.CouponDetailView.as_view()),
    path("coupons/<str:name>/archive", coupons.CouponArchiveView.as_view()),
    path("coupon-redemptions", coupons.RedemptionListView.as_view()),
    path("coupon-redemptions/<str:name>", coupons.RedemptionDetailView.as_view()),
    path("coupon-redemptions/<str:name>/end", coupons.RedemptionEndView.as_view()),
    path("legal-entities", sellers.LegalEntityListView.as_view()),
    path("legal-entities/<str:name>", sellers.LegalEntityDetailView.as_view()),
    path("legal-entities/<str:name>/archive", sellers.LegalEntityArchiveView.as_view()),
    path("billing-profile", profiles.BillingProfileView.as_view()),
    path("billing-profile/erase-contact", profiles.ContactEraseView.as_view()),
    path("billing-profile/check-vat-id", profiles.VatIdCheckView.as_view()),
    path("entitlements", entitlements.EntitlementsView.as_view()),
    path("subscriptions", subscriptions.SubscriptionListView.as_view()),
    path("subscriptions/<str:name>", subscriptions.SubscriptionDetailView.as_view()),
    path("subscriptions/<str:name>/history", subscriptions.SubscriptionHistoryView.as_view()),
    path("subscriptions/<str:name>/change", subscriptions.SubscriptionChangeView.as_view()),
    path("subscriptions/<str:name>/change/preview", subscriptions.SubscriptionPreviewView.as_view()),
    path("subscriptions/<str:name>/quantity", subscriptions.SubscriptionQuantityView.as_view()),
    path("subscriptions/<str:name>/add-ons", subscriptions.SubscriptionAddOnsView.as_view()),
    path("subscriptions/<str:name>/pause", subscriptions.SubscriptionPauseView.as_view()),
    path("subscriptions/<str:name>/resume", subscriptions.SubscriptionResumeView.as_view()),
    path("subscriptions/<str:name>/cancel", subscriptions.SubscriptionCancelView.as_view()),
    path("subscriptions/<str:name>/uncancel", subscriptions.SubscriptionUncancelView.as_view()),
    path("subscriptions/<str:name>/coupons", subscriptions.SubscriptionCouponsView.as_view()),
]
