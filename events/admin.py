"""Events and seals for the staff: to look at, for everyone, also for a superuser (S02)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from events.models import Checkpoint, Event, Seal, Subscriber

if TYPE_CHECKING:  # generic to the type checker only
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class FactAdmin(_ModelAdmin):
    """Rows that nobody adds, changes or deletes here."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted, anywhere."""
        return False


@admin.register(Event)
class EventAdmin(FactAdmin):
    """The event log, newest first; the search finds an organization, a stream or a number exactly."""

    list_display = (
        "seq",
        "recorded_at",
        "type",
        "stream_type",
        "stream_id",
        "version",
        "organization",
        "actor",
    )
    search_fields = ("=organization", "=stream_id", "=seq")
    fields: ClassVar = [
        "seq", "organization", "stream_type", "stream_id", "version", "type", "schema", "shown_data", "actor", "cause",
        "idempotency_key", "epoch", "occurred_at", "recorded_at",
    ]  # fmt: skip

    @admin.display(description="data")
    def shown_data(self, event: Event) -> str:
        """The data, without what is of no use to a reader."""
        shown = {name: value for name, value in event.data.items() if name != "secret_hash"}
        return json.dumps(shown, indent=1, ensure_ascii=False)


@admin.register(Seal)
class SealAdmin(FactAdmin):
    """The chain of seals, newest first."""

    list_display = ("number", "sealed_at", "seq_after", "seq_to", "event_count", "shown_hash")
    fields: ClassVar = [
        "number", "epoch", "seq_after", "seq_to", "event_count", "shown_root", "shown_previous", "shown_hash",
        "sealed_at",
    ]  # fmt: skip

    @admin.display(description="hash")
    def shown_hash(self, seal: Seal) -> str:
        """The hash that the next seal names."""
        return bytes(seal.hash).hex()

    @admin.display(description="root")
    def shown_root(self, seal: Seal) -> str:
        """The Merkle root over the facts of the batch."""
        return bytes(seal.root).hex()

    @admin.display(description="previous")
    def shown_previous(self, seal: Seal) -> str:
        """The hash of the seal before."""
        return bytes(seal.previous).hex()


@admin.register(Checkpoint)
class CheckpointAdmin(FactAdmin):
    """Copies of the projections that were found to be right."""

    list_display = ("taken_at", "seq", "location")


@admin.register(Subscriber)
class SubscriberAdmin(FactAdmin):
    """Subscribers that failed at some time; a parked one goes on after `manage.py resume_subscriber`."""

    list_display = ("name", "state", "failures", "failed_at", "parked_at", "last_error")
