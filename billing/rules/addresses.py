"""Addresses as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PARTS: Final = ("line1", "line2", "postal_code", "city", "region", "country")


def address_lines(address: Mapping[str, Any]) -> list[str]:
    """Return an address line by line: the known parts in their order, then whatever else it says."""
    known = [address[name] for name in PARTS if address.get(name)]
    rest = [value for name, value in address.items() if name not in PARTS and value]
    return [str(part) for part in (*known, *rest)]
