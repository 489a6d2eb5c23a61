"""On which invoice line use is billed, for the staff: on the pages of usage records and of events."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.queries.invoiced import REASONS, Invoiced, usage_invoiced
from common.money import format_amount
from common.transactions import run_in_transaction
from spend.admin.gate import UsageRecordAdmin
from spend.models import UsageRecord


def told(found: Invoiced) -> SafeString:
    """Return the lines with links to their invoices, why there is none, and who paid."""
    lines = format_html_join(
        "",
        '<p><a href="{}">Invoice {}</a> ({}), line {}: {}{}</p>',
        (
            (
                reverse("admin:billing_invoice_change", args=[one.line.invoice_id]),
                one.number or one.line.invoice_id,
                one.status,
                one.line.n,
                one.line.description,
                "" if one.counts else "; taken back",
            )
            for one in found.lines
        ),
    )
    why = "" if found.reason is None else f"Not invoiced: {REASONS[found.reason]}"
    paid = ", ".join(f"{part.source} {format_amount(part.amount)}" for part in found.parts)
    return format_html("{}<p>{}</p><p>{}</p>", lines, why, f"Paid by {paid}" if paid else "")


admin.site.unregister(UsageRecord)  # the gate knows nothing of invoices: its page is told here


@admin.register(UsageRecord)
class BilledUsageRecordAdmin(UsageRecordAdmin):
    """Usage records, with the invoice line that bills each."""

    readonly_fields = ("invoice_line",)

    @admin.display(description="invoice line")
    def invoice_line(self, row: UsageRecord) -> SafeString:
        """Where it is billed, or why it is not."""
        return told(
            run_in_transaction(lambda cur: usage_invoiced(cur, organization=row.organization, record=row.id))
        )
