"""Run policies: as the gate reads them, and as people read them."""

from typing import Any, Final
from uuid import UUID

import msgspec

from events.store import Cursor
from spend.rules.runpolicies import RunPolicy, from_stored

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_READ: Final = """
SELECT id, organization, scope, target_id, target_label, rules::text, mode, version, created_at, archived_at
FROM run_policies
"""


def load_policies(cur: Cursor, organization: UUID) -> list[RunPolicy]:
    """Return every run policy of the organization that is observed or enforced, oldest first."""
    cur.execute(
        _READ + " WHERE organization = %s AND archived_at IS NULL AND mode <> 'off' ORDER BY id",
        (organization,),
    )
    return [_policy(row) for row in cur.fetchall()]


def _policy(row: tuple[Any, ...]) -> RunPolicy:
    values = list(row)
    values[5] = from_stored(_decode(values[5]))
    return RunPolicy(*values)
