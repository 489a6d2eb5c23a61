"""Plans and their versions, by key and by id."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from billing.rules.catalog import Plan, PlanVersion
from billing.rules.plans import PlanCharge, read_stored_plan
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded

# As text: whether jsonb arrives decoded depends on the connection, Django's or the gate's.
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_PLAN: Final = """
SELECT id, organization, key, name, status, latest, draft_id, published_id, version, created_at, archived_at FROM plans
"""
_VERSION: Final = """
SELECT id, organization, plan_id, plan_key, number, definition::text, status, version, created_at, published_at,
    archived_at
FROM plan_versions
"""


class PlanFilter(NamedTuple):
    """Which plans a list shows. `on_sale`: only what customers may see."""

    on_sale: bool = False
    archived: bool | None = None


def find_plan(cur: Cursor, name: str, *, on_sale: bool = False, pointer: str | None = None) -> Plan:
    """Return a plan by key or id; with `on_sale` one that was ever published. Raises NotFound."""
    column, value = ("id", UUID(name)) if is_id(name) else ("key", name)
    statement = _PLAN + f" WHERE {column} = %s" + (" AND published_id IS NOT NULL" if on_sale else "")
    row = cur.execute(statement, (value,)).fetchone()
    if row is None:
        raise NotFound("There is no such plan.", pointer=pointer)
    return Plan(*row)


def key_is_taken(cur: Cursor, key: str) -> bool:
    """Return whether a plan has this key, or one that looks like it."""
    rows = cur.execute("SELECT key FROM plans").fetchall()
    return folded(key) in {folded(row[0]) for row in rows}


def list_plans(cur: Cursor, wanted: PlanFilter, *, before: UUID | None, limit: int) -> list[Plan]:
    """Return up to `limit` plans, newest first, made before `before`."""
    statement = _PLAN + " WHERE true"
    if before is not None:
        statement += " AND id < %(before)s"
    if wanted.on_sale:
        statement += " AND published_id IS NOT NULL"
    if wanted.archived is not None:
        statement += f" AND archived_at IS {'NOT ' if wanted.archived else ''}NULL"
    cur.execute(statement + " ORDER BY id DESC LIMIT %(limit)s", {"before": before, "limit": limit})
    return [Plan(*row) for row in cur.fetchall()]


def find_version(cur: Cursor, version: UUID) -> PlanVersion:
    """Return a version by its id, whatever its status. Raises NotFound."""
    row = cur.execute(_VERSION + " WHERE id = %s", (version,)).fetchone()
    if row is None:
        raise NotFound("There is no such plan version.")
    return _version(row)


def find_version_of(cur: Cursor, plan: Plan, number: int, *, ever_on_sale: bool = False) -> PlanVersion:
    """Return a version of a plan by its number; with `ever_on_sale` one that was published. Raises NotFound."""
    statement = _VERSION + " WHERE plan_id = %s AND number = %s"
    statement += " AND published_at IS NOT NULL" if ever_on_sale else ""
    row = cur.execute(statement, (plan.id, number)).fetchone()
    if row is None:
        raise NotFound("There is no such version of the plan.")
    return _version(row)


def version_on_sale(cur: Cursor, plan: Plan) -> PlanVersion | None:
    """Return the version that a new subscription gets; None until one is published."""
    return None if plan.published_id is None else find_version(cur, plan.published_id)


def draft_of(cur: Cursor, plan: Plan) -> PlanVersion | None:
    """Return the version that waits to be published."""
    return None if plan.draft_id is None else find_version(cur, plan.draft_id)


def versions_of(cur: Cursor, ids: Iterable[UUID]) -> dict[UUID, PlanVersion]:
    """Return versions by their ids."""
    rows = cur.execute(_VERSION + " WHERE id = ANY(%s::uuid[])", (list(ids),)).fetchall()
    return {row[0]: _version(row) for row in rows}


def ids_of_plans(cur: Cursor, keys: Iterable[str]) -> dict[str, UUID]:
    """Return the ids of the plans that have these keys, by key; those that are not there are left out."""
    names = sorted(set(keys))
    rows = cur.execute("SELECT key, id FROM plans WHERE key = ANY(%s)", (names,)).fetchall() if names else ()
    return dict(rows)


def newest_charge(cur: Cursor, plan: str, charge: str) -> PlanCharge | None:
    """Return a charge as the newest version that was ever on sale has it, of a plan named by its key; None where there
    is no such plan or charge."""
    statement = _VERSION + " WHERE plan_key = %s AND published_at IS NOT NULL ORDER BY number DESC"
    versions = map(_version, cur.execute(statement, (plan,)).fetchall())
    found = (version.terms.charge(charge) for version in versions)
    return next((one for one in found if one is not None), None)


def list_versions(
    cur: Cursor, plan: Plan, *, ever_on_sale: bool, below: int | None, limit: int
) -> list[PlanVersion]:
    """Return up to `limit` versions of a plan, newest first, with a number below `below`."""
    statement = _VERSION + " WHERE plan_id = %(plan)s"
    if below is not None:
        statement += " AND number < %(below)s"
    if ever_on_sale:
        statement += " AND published_at IS NOT NULL"
    cur.execute(
        statement + " ORDER BY number DESC LIMIT %(limit)s", {"plan": plan.id, "below": below, "limit": limit}
    )
    return [_version(row) for row in cur.fetchall()]


def _version(row: tuple[Any, ...]) -> PlanVersion:
    values = list(row)
    values[5] = read_stored_plan(_decode(values[5]))
    return PlanVersion(*values)
