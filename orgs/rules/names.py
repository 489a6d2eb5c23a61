"""When two keys or names look alike, so that nobody poses as a neighbour (409 name_conflict)."""

from __future__ import annotations

import re

from common.confusables import skeleton

_SEPARATORS = re.compile(r"[ \-_.:/@+]+")


def folded(text: str) -> str:
    """The form in which two keys or names that look alike are equal; compared and stored, never shown.

    Separators stay apart as one kind of separator: `team-1-11` and `team-11-1` do not look alike.
    """
    return "-".join(skeleton(part) for part in _SEPARATORS.split(text))
