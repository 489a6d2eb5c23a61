"""Many lifecycles quickly: through the gate in batches, and by copying what the gate wrote."""

from typing import Any

import psycopg

from tests.bench.gate import submit_all
from tests.bench.inproc import reservation_of
from tests.bench.lifecycle import Call, fresh_name
from tests.bench.population import Customer

# What a copy must have of its own; everything else is taken over. %k is the number of the copy.
_ID = "(lpad(to_hex(k + {offset}), 8, '0') || substr({column}::text, 9))::uuid"
_COPIED = {
    "journal_entries": {"id": _ID, "idempotency_key": "idempotency_key || '.' || k"},
    "postings": {"entry_id": _ID},
    "holds": {"id": _ID},
    "reservations": {"id": _ID},
    "usage_records": {"id": _ID, "reservation_id": _ID},
    "decisions": {"id": _ID, "reservation_id": _ID},
    "api_idempotency_keys": {"key_digest": "md5(key_digest::text || k)::uuid"},
    "events": {"stream_id": _ID},
}
_WHERE = {
    "events": "stream_type = 'reservation'",
    "journal_entries": "kind = 'usage'",
    "postings": "entry_id IN (SELECT id FROM journal_entries WHERE organization = %(organization)s AND kind = 'usage')",
}
_OFFSET = (
    0x00100000  # of the first eight digits of an id: older than every real one, in the order of the copies
)


def lifecycles_in_batches(customer: Customer, *, count: int, size: int = 100) -> None:
    """Do that many lifecycles, `size` in one transaction."""
    name = fresh_name()
    for start in range(0, count, size):
        calls = [Call.next(customer, name) for _ in range(min(size, count - start))]
        reserved = submit_all([call.reserve() for call in calls])
        commits = [call.commit(reservation_of(answer)) for call, answer in zip(calls, reserved, strict=True)]
        refused = [answer.error for answer in (*reserved, *submit_all(commits)) if answer.error is not None]
        if refused:
            raise refused[0]


def multiply(connection: psycopg.Connection[Any], customer: Customer, *, copies: int) -> None:
    """Copy the customer's lifecycles that many times as the owner of the tables would restore them: same sizes, ids
    of their own, balances and grants moved by what the copied postings add up to."""
    given = {"organization": customer.id, "copies": copies}
    with connection.transaction():
        credit = _posted(connection, customer)
        for table, own in _COPIED.items():
            connection.execute(_copy(connection, table, own).encode(), given)
        added = _posted(connection, customer) - credit
        connection.execute(
            "UPDATE accounts SET posted = posted + %s WHERE organization = %s AND kind = 'customer_credit'",
            (added, customer.id),
        )
        connection.execute(
            "UPDATE credit_grants SET remaining = remaining + %s WHERE organization = %s",
            (added, customer.id),
        )
        connection.execute(
            "UPDATE budget_counters SET spent = spent - %s WHERE organization = %s AND target = ''",
            (added, customer.id),
        )
    connection.execute("VACUUM (ANALYZE)")


def _posted(connection: psycopg.Connection[Any], customer: Customer) -> int:
    found = connection.execute(
        "SELECT COALESCE(sum(p.amount), 0) FROM postings p JOIN accounts a ON a.id = p.account_id"
        " WHERE a.organization = %s AND a.kind = 'customer_credit'",
        (customer.id,),
    ).fetchone()
    assert found is not None
    return int(found[0])


def _copy(connection: psycopg.Connection[Any], table: str, own: dict[str, str]) -> str:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name NOT IN ('seq', 'tx')",
        (table,),
    )
    columns = [row[0] for row in found]
    values = [own[name].format(column=name, offset=_OFFSET) if name in own else name for name in columns]
    where = f"organization = %(organization)s AND {_WHERE.get(table, 'true')}"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"
        f" FROM (SELECT * FROM {table} WHERE {where}) AS original CROSS JOIN generate_series(1, %(copies)s) AS k"
    )
