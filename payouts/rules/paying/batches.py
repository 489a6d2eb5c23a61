"""A batch: payouts of all partners that have something, asked for at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from orgs.rules.facts import Fact, time_text

STREAM = "payout_batch"
OPEN, DONE = "open", "done"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's row: how many payouts were made, and how many partners were refused one (too little, one under way)."""

    id: UUID
    organization: UUID
    state: str
    requested_at: datetime
    requested_by: str
    made: int = 0
    refused: int = 0
    finished_at: datetime | None = None
    version: int = 1


def finished(batch: Batch, *, made: int, refused: int, at: datetime) -> Batch:
    """Return the batch that has asked every partner."""
    return replace(batch, state=DONE, made=made, refused=refused, finished_at=at, version=batch.version + 1)


def fact(batch: Batch, verb: str, *, at: datetime) -> Fact:
    """Return what happened: the batch's whole new row."""
    data = {
        "state": batch.state,
        "requested_at": time_text(batch.requested_at),
        "requested_by": batch.requested_by,
        "made": batch.made,
        "refused": batch.refused,
        "finished_at": time_text(batch.finished_at),
    }
    return Fact(batch.organization, STREAM, batch.id, batch.version, verb, data, at)
