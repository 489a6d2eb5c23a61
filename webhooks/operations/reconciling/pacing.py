"""Lists of the processor under its limits: the right to call is taken for each page, behind nobody's commands."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from billing.stripe_gateway import pacing
from billing.stripe_gateway.lists import PAGE

_T = TypeVar("_T")
_PAUSE_SECONDS: Final = 1.0


def wait_for_turn() -> None:
    """This function will wait for the right to one call, as long as that takes: nobody waits for reconciliation."""
    while not pacing.take():
        time.sleep(_PAUSE_SECONDS)


def pages(found: Iterable[_T]) -> Iterator[list[_T]]:
    """This function will give a list page by page, with a turn waited for before each."""
    rest = iter(found)
    while True:
        wait_for_turn()
        page = [each for _, each in zip(range(PAGE), rest, strict=False)]
        if not page:
            return
        yield page
        if len(page) < PAGE:
            return
