"""Stripe's events for the staff: what waits for a person, with a button to have it tried again."""

from __future__ import annotations

import json
from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from orgs.admin import ReadOnlyAdmin
from webhooks.models import StripeEvent, StripeWatermark
from webhooks.operations.inbound.replaying import replay_event

LONGEST_SHOWN = 100_000


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    """The inbox. Dead letters are those in the state dead; parked ones wait for something or somebody."""

    list_display = (
        "event", "type", "state", "reason", "attempts", "kind", "object_id", "account", "received_at", "next_at",
        "finished_at",
    )  # fmt: skip
    list_filter = ("state", "source", "via", "reason")
    search_fields = ("=event", "=object_id", "=id")
    exclude: ClassVar = ("body",)
    readonly_fields = ("shown_body",)
    actions = ("replay",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        """Lists do not read the bodies."""
        found: QuerySet[StripeEvent] = super().get_queryset(request)
        return found.defer("body")

    @admin.display(description="body (evidence; never applied)")
    def shown_body(self, row: StripeEvent) -> str:
        """The body as text."""
        text = bytes(row.body).decode("utf-8", errors="replace")[:LONGEST_SHOWN]
        try:
            return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        except ValueError:
            return text

    @admin.action(description="Replay the chosen events (safe: effects stay one)", permissions=["operate"])
    def replay(self, request: HttpRequest, rows: QuerySet[StripeEvent]) -> None:
        """Have each of them worked on again."""
        self.run(
            request,
            rows,
            lambda row, author, cur: replay_event(cur, identifier=row.id, author_name=author.actor),
        )


@admin.register(StripeWatermark)
class StripeWatermarkAdmin(ReadOnlyAdmin):
    """How far Stripe's lists of events were read."""

    list_display = ("account", "types", "event", "created", "read_at", "swept_at")
