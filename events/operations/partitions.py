"""Make the months' partitions before they are needed."""

from typing import Final

from common.transactions import run_in_transaction
from events.store import Cursor

MONTHS_AHEAD: Final = 3
_MAKE: Final = """
SELECT make_month((date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(months => %s))::date)
"""


def make_partitions(*, months_ahead: int = MONTHS_AHEAD) -> int:
    """This function will make the partitions of this month and the next ones where they are missing, one month per
    transaction, and return how many are new."""
    made = 0
    for month in range(months_ahead + 1):

        def make(cur: Cursor, month: int = month) -> int:
            row = cur.execute(_MAKE, (month,)).fetchone()
            return int(row[0]) if row else 0

        made += run_in_transaction(make)
    return made
