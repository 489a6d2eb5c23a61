"""The three classes of tables.

Facts: the application may only SELECT and INSERT; they are sealed. Projections: made from facts by the registered
projectors, and rebuildable. Operational: Django's own tables, staff and personal data, secrets, keys, cursors,
leases; backed up, not rebuilt.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from events.store import ProjectedTable, projectors


@dataclass(frozen=True, slots=True)
class FactTable:
    """A table of facts. `columns` are all of its columns, in the order in which their bytes are hashed."""

    name: str
    columns: tuple[str, ...]

    def canonical(self, alias: str) -> str:
        """Return the SQL of a row's canonical bytes: every column's binary form with its type and length, which
        depends on no setting and is the same on every supported version of PostgreSQL."""
        return f"record_send(ROW({', '.join(f'{alias}.{column}' for column in self.columns)}))"


EVENTS: Final = FactTable(
    "events",
    tuple(
        "seq organization stream_type stream_id version type schema data actor cause idempotency_key epoch tx"
        " occurred_at recorded_at".split()
    ),
)
ENTRIES: Final = FactTable(
    "journal_entries",
    tuple(
        "id organization kind source idempotency_key actor reason reverses effective_at recorded_at epoch"
        " tx".split()
    ),
)
POSTINGS: Final = FactTable(
    "postings",
    tuple("entry_id n account_id organization amount currency recorded_at epoch tx".split()),
)
USAGE: Final = FactTable(
    "usage_records",
    tuple(
        "id organization recorded_at tx epoch occurred_at cost charge currency input_tokens"
        " cache_read_input_tokens cache_creation_input_tokens output_tokens reasoning_output_tokens tool_calls"
        " reservation_id agent_id team_id workflow_id connection_id run_id root_run_id price_version fx_rate"
        " latency_ms step attempt hop adjustment outcome reason kind provider model tool user_label parent_task"
        " response_id source external_id funding detail raw".split()
    ),
)
DECISIONS: Final = FactTable(
    "decisions",
    tuple(
        "id organization recorded_at tx epoch at requested agent_id run_id reservation_id binding_budget"
        " binding_version count dry answer code binding_scope detail".split()
    ),
)
METER_EVENTS: Final = FactTable(
    "meter_events",
    tuple(
        "id organization recorded_at tx epoch occurred_at sign adjustment event_id cancels backfill_id source"
        " external_id type subject data actor reason".split()
    ),
)

FACTS: Final = (EVENTS, ENTRIES, POSTINGS, USAGE, DECISIONS, METER_EVENTS)
"""`seals` is a fact, too: its rows are chained, not sealed by another."""

FACT_NAMES: Final = frozenset(table.name for table in FACTS) | {"seals"}

OPERATIONAL: Final = frozenset(
    {
        "event_store", "event_cursors", "event_subscribers", "worker_heartbeats", "due_jobs", "checkpoints",
        "month_partitioned", "retired_months", "api_idempotency_keys", "member_profiles", "account_snapshots",
        "snapshot_horizon",
        "usage_keys", "meter_event_keys", "retired_usage_hourly", "retired_usage_runs", "retired_usage_commits",
        "usage_by_minute", "velocity_bursts", "billing_contacts", "billing_runs", "invoice_addressees",
        "dunning_claims", "stripe_events", "stripe_leases", "stripe_watermarks",
        "reconciliations", "reconciliation_differences", "processor_balance_rows", "processor_balances",
        "webhook_secrets", "webhook_messages", "webhook_deliveries", "webhook_lanes", "webhook_standings",
        "webhook_denials", "webhook_low_credit",
        "payment_methods", "processor_buckets",
        "dunning_notices", "auto_top_up_letters", "document_letters",
        "recurring_levels", "recurring_commitments", "mrr_movements", "revenue_days",
        "shared_hours",
        "earning_watermarks", "payout_schedules", "payout_batch_rounds", "partner_reference_keys",
        "partner_statement_addressees",
        "auth_group", "auth_group_permissions", "auth_permission", "auth_user", "auth_user_groups",
        "auth_user_user_permissions", "django_admin_log", "django_content_type", "django_migrations",
        "django_session",
    }
)  # fmt: skip


def projected_tables() -> Iterable[ProjectedTable]:
    """Return the tables that projectors fill, journal included, in the order of registration."""
    for projector in projectors():
        yield from projector.tables
