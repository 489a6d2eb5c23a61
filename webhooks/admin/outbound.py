"""Outbound webhooks for the staff: endpoints and deliveries to read; actions call the operations."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from orgs.admin import OrganizationFilter, ReadOnlyAdmin
from webhooks.models import WebhookDelivery, WebhookEndpoint
from webhooks.operations.outbound.endpoints import archive_endpoint, change_endpoint
from webhooks.operations.outbound.replaying import replay_delivery


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    """Endpoints, without their secrets."""

    list_display = ("url", "organization", "status", "disabled_reason", "event_types", "created_at")
    list_filter: ClassVar = ("status", "disabled_reason")
    search_fields = ("url", "=id", "=organization")
    exclude = ("secret_ids",)
    actions = ("disable", "enable", "archive")

    @admin.action(description="Disable the chosen endpoints", permissions=["operate"])
    def disable(self, request: HttpRequest, rows: QuerySet[WebhookEndpoint]) -> None:
        """Switch each of them off; what is on its way is given up."""
        self._switch(request, rows, enabled=False)

    @admin.action(description="Enable the chosen endpoints", permissions=["operate"])
    def enable(self, request: HttpRequest, rows: QuerySet[WebhookEndpoint]) -> None:
        """Switch each of them on again."""
        self._switch(request, rows, enabled=True)

    @admin.action(description="Archive the chosen endpoints", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[WebhookEndpoint]) -> None:
        """End each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_endpoint(
                cur, organization=row.organization, endpoint=row.id, author=author
            ),
        )

    def _switch(self, request: HttpRequest, rows: QuerySet[WebhookEndpoint], *, enabled: bool) -> None:
        self.run(
            request,
            rows,
            lambda row, author, cur: change_endpoint(
                cur,
                organization=row.organization,
                endpoint=row.id,
                changes={"enabled": enabled},
                author=author,
            ),
        )


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """What was sent to whom, and what came of it."""

    list_display = (
        "event_type", "endpoint_id", "status", "attempts", "response_status", "error", "next_at", "created_at",
    )  # fmt: skip
    list_filter: ClassVar = (OrganizationFilter, "status")
    search_fields = ("=id", "=message_id", "=endpoint__id", "event_type")
    actions = ("replay",)

    @admin.action(description="Send the chosen deliveries again", permissions=["operate"])
    def replay(self, request: HttpRequest, rows: QuerySet[WebhookDelivery]) -> None:
        """Send each of them again, under its old id."""
        self.run(
            request,
            rows,
            lambda row, author, cur: replay_delivery(cur, organization=row.organization, delivery=row.id),
        )
