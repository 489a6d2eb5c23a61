"""Decisions with what observed rules would have refused, written as the gate writes them: histories made by hand."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from tests.builders.orgs import write


@dataclass(frozen=True)
class Made:
    """One decision. `hits`: (rule or None, kind, code) of each rule that would have refused."""

    requested: int
    hits: tuple[tuple[UUID | str | None, str, str], ...]
    agent: UUID | None = None
    answer: str = "allow"
    count: int = 1
    dry: bool = False
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_decisions(organization: UUID, made: list[Made]) -> None:
    """Add the decisions."""

    def operation(cur: Cursor) -> None:
        for each in made:
            cur.execute(
                "INSERT INTO decisions (id, organization, at, requested, agent_id, epoch, count, dry, answer, code, "
                "detail) VALUES (%s, %s, %s, %s, %s, (SELECT epoch FROM event_store), %s, %s, %s, %s, %s)",
                (
                    new_id(), organization, each.at, each.requested, each.agent, each.count, each.dry, each.answer,
                    "budget_exhausted" if each.answer == "deny" else None,
                    json.dumps({"observed": [_shown(*hit) for hit in each.hits]}) if each.hits else None,
                ),
            )  # fmt: skip

    write(operation)


def _shown(rule: UUID | str | None, kind: str, code: str) -> dict[str, Any]:
    return {
        "rule": None if rule is None else str(rule),
        "kind": kind,
        "code": code,
        "scope": "agent",
        "target": "bot",
    }
