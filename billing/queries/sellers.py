"""Legal entities by key and id, and who sells to a customer."""

from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from billing.rules.sellers import EntityTerms, LegalEntity
from common.errors import NotFound
from common.fields import is_id
from events.store import Cursor
from orgs.rules.names import folded

Lock = Literal["to_name", "to_archive"]
_LOCKS: Final[dict[Lock | None, str]] = {
    None: "",
    "to_name": " FOR SHARE",
    "to_archive": " FOR UPDATE",
}
_decode = msgspec.json.Decoder(dict[str, str]).decode
_READ: Final = """
SELECT e.id, e.organization, e.key, e.name, e.country, e.currency, e.address::text, e.vat_ids::text, e.number_pattern,
    e.invoice_series, e.credit_note_series, e.is_default, e.version, e.created_at, e.archived_at
FROM legal_entities e
"""
_SELLING: Final = """
WHERE e.id = COALESCE((SELECT p.legal_entity_id FROM billing_profiles p WHERE p.organization = %s),
    (SELECT d.id FROM legal_entities d WHERE d.is_default AND d.archived_at IS NULL))
"""


def find_legal_entity(
    cur: Cursor, name: str, *, lock: Lock | None = None, pointer: str | None = None
) -> LegalEntity:
    """Return a legal entity by key or id, also an archived one. Raises NotFound.

    With `lock` "to_name" it is not archived, and with "to_archive" no profile comes to name it, before the transaction
    ends.
    """
    column, value = ("id", UUID(name)) if is_id(name) else ("key", name)
    row = cur.execute(_READ + f" WHERE e.{column} = %s" + _LOCKS[lock], (value,)).fetchone()
    if row is None:
        raise NotFound("There is no such legal entity.", pointer=pointer)
    return _entity(row)


def default_legal_entity(cur: Cursor) -> LegalEntity | None:
    """Return who sells to customers that name nobody else; None until there is one."""
    row = cur.execute(_READ + " WHERE e.is_default AND e.archived_at IS NULL").fetchone()
    return None if row is None else _entity(row)


def seller_of(cur: Cursor, organization: UUID) -> LegalEntity:
    """Return who sells to an organization: who its billing profile names, else the default one. Raises NotFound."""
    row = cur.execute(_READ + _SELLING, (organization,)).fetchone()
    if row is None:
        raise NotFound("There is no legal entity that sells to this organization.")
    return _entity(row)


def names_entity(cur: Cursor, entity: UUID) -> int:
    """Return how many billing profiles name a legal entity."""
    row = cur.execute(
        "SELECT count(*) FROM billing_profiles WHERE legal_entity_id = %s", (entity,)
    ).fetchone()
    count: int = row[0] if row else 0
    return count


def entity_key_is_taken(cur: Cursor, key: str) -> bool:
    """Return whether a legal entity has this key, or one that looks like it."""
    return folded(key) in {folded(row[0]) for row in cur.execute("SELECT key FROM legal_entities").fetchall()}


def list_legal_entities(
    cur: Cursor, *, archived: bool | None, before: UUID | None, limit: int
) -> list[LegalEntity]:
    """Return up to `limit` legal entities, newest first."""
    statement = _READ + " WHERE true"
    if before is not None:
        statement += " AND e.id < %(before)s"
    if archived is not None:
        statement += f" AND e.archived_at IS {'NOT ' if archived else ''}NULL"
    cur.execute(statement + " ORDER BY e.id DESC LIMIT %(limit)s", {"before": before, "limit": limit})
    return [_entity(row) for row in cur.fetchall()]


def _entity(row: tuple[Any, ...]) -> LegalEntity:
    terms = EntityTerms(
        name=row[3],
        country=row[4],
        currency=row[5],
        address=_decode(row[6]),
        vat_ids=_decode(row[7]),
        number_pattern=row[8],
        invoice_series=row[9],
        credit_note_series=row[10],
    )
    return LegalEntity(row[0], row[1], row[2], terms, row[11], row[12], row[13], row[14])
