"""What became of an object of the processor that was applied. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

APPLIED: Final = "applied"
UNCHANGED: Final = "unchanged"
PARKED: Final = "parked"
FOREIGN: Final = "foreign"


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an object: applied, unchanged (nothing new), parked (it waits, or a person sees it), or foreign
    (none of ours)."""

    outcome: str
    detail: str = ""
