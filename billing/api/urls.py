"""The addresses of this app under /v1/."""

from django.urls import URLPattern, path

from billing.api import billing_runs, invoice_actions, invoices, plans

urlpatterns: list[URLPattern] = [
    path("plans", plans.PlanListView.as_view()),
    path("plans/<str:name>", plans.PlanDetailView.as_view()),
    path("plans/<str:name>/archive", plans.PlanArchiveView.as_view()),
    path("plans/<str:name>/price-preview", plans.PricePreviewView.as_view()),
    path("plans/<str:name>/versions", plans.PlanVersionListView.as_view()),
    path("plans/<str:name>/versions/<str:number>", plans.PlanVersionDetailView.as_view()),
    path("plans/<str:name>/versions/<str:number>/publish", plans.PlanVersionPublishView.as_view()),
    path("billing-cycle", billing_runs.BillingCycleView.as_view()),
    path("billing-runs", billing_runs.BillingRunListView.as_view()),
    path("billing-runs/<str:name>/resume", billing_runs.BillingRunResumeView.as_view()),
    path("credit-notes", invoice_actions.CreditNoteListView.as_view()),
    path("credit-notes/<str:name>", invoice_actions.CreditNoteDetailView.as_view()),
    path("invoice-items", invoice_actions.InvoiceItemListView.as_view()),
    path("invoice-items/<str:name>", invoice_actions.InvoiceItemDetailView.as_view()),
    path("invoices", invoices.InvoiceListView.as_view()),
    path("invoices/upcoming", invoices.UpcomingInvoiceView.as_view()),
    path("invoices/<str:name>", invoices.InvoiceDetailView.as_view()),
    path("invoices/<str:name>/lines", invoices.InvoiceLinesView.as_view()),
    path("invoices/<str:name>/lines/<str:line>/explain", invoices.LineExplanationView.as_view()),
    path("invoices/<str:name>/lines/<str:line>/records.csv", invoices.LineRecordsView.as_view()),
    path("invoices/<str:name>/pdf", invoices.InvoicePdfView.as_view()),
    path("invoices/<str:name>/finalize", invoice_actions.InvoiceFinalizeView.as_view()),
    path("invoices/<str:name>/void", invoice_actions.InvoiceVoidView.as_view()),
    path("invoices/<str:name>/pay", invoice_actions.InvoicePayView.as_view()),
    path("invoices/<str:name>/write-off", invoice_actions.InvoiceWriteOffView.as_view()),
    path("invoices/<str:name>/send", invoice_actions.InvoiceSendView.as_view()),
    path("invoices/<str:name>/credit-notes", invoice_actions.InvoiceCreditNotesView.as_view()),
]
