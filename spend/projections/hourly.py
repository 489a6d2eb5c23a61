"""The hourly rollup, made again from the usage records alone (S7): the rebuild's path, not the gate's."""

from events.factprojectors import FactProjector, register_fact_projector
from events.store import ProjectedTable

SQL = """
INSERT INTO usage_hourly AS h (organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model,
    outcome, calls, input_tokens, cache_read_input_tokens, output_tokens, tool_calls, cost, charge, max_charge)
SELECT organization, date_trunc('hour', occurred_at, 'UTC'), team_id, agent_id, workflow_id, connection_id, provider,
    model, outcome, count(*), sum(input_tokens), sum(cache_read_input_tokens), sum(output_tokens), sum(tool_calls),
    sum(cost), sum(charge), max(charge)
FROM usage_records WHERE {rows} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (organization, hour, agent_id, team_id, workflow_id, connection_id, provider, model, outcome)
DO UPDATE SET calls = h.calls + excluded.calls, input_tokens = h.input_tokens + excluded.input_tokens,
    cache_read_input_tokens = h.cache_read_input_tokens + excluded.cache_read_input_tokens,
    output_tokens = h.output_tokens + excluded.output_tokens, tool_calls = h.tool_calls + excluded.tool_calls,
    cost = h.cost + excluded.cost, charge = h.charge + excluded.charge,
    max_charge = greatest(h.max_charge, excluded.max_charge)
"""
RETIRED = """
INSERT INTO usage_hourly (organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model, outcome,
    calls, input_tokens, cache_read_input_tokens, output_tokens, tool_calls, cost, charge, max_charge)
SELECT organization, hour, team_id, agent_id, workflow_id, connection_id, provider, model, outcome, sum(calls),
    sum(input_tokens), sum(cache_read_input_tokens), sum(output_tokens), sum(tool_calls), sum(cost), sum(charge),
    max(max_charge)
FROM retired_usage_hourly GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
KEY = (
    "organization", "hour", "agent_id", "team_id", "workflow_id", "connection_id", "provider", "model", "outcome",
)  # fmt: skip


def register_hourly() -> None:
    """This function will register the rollup with the rebuild."""
    register_fact_projector(
        FactProjector(
            "spend.usage_hourly", "usage_records", ProjectedTable("usage_hourly", KEY), SQL, RETIRED
        )
    )
