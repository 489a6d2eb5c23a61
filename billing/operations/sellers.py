"""Making, changing and archiving legal entities."""

from collections.abc import Mapping
from typing import Any

from billing.queries.sellers import default_legal_entity, entity_key_is_taken, find_legal_entity, names_entity
from billing.rules.sellers import (
    EntityTerms,
    LegalEntity,
    entity_archived,
    entity_changed,
    entity_created,
)
from common.errors import InvalidField, NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization


def create_legal_entity(cur: Cursor, *, key: str, terms: EntityTerms, author: Author) -> LegalEntity:
    """This function will make a legal entity; the first one is the default.

    Raises NameConflict for a key that is taken or looks like one that is, and InvalidField.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    if entity_key_is_taken(cur, key):
        raise NameConflict("There is a legal entity with this key.", pointer="/key")
    is_first = default_legal_entity(cur) is None
    entity = LegalEntity(new_id(), PLATFORM_ID, key, terms, is_first, 1, locked.now)
    record(cur, [entity_created(entity)], author=author)
    return entity


def change_legal_entity(
    cur: Cursor,
    *,
    entity: str,
    changes: Mapping[str, Any],
    author: Author,
    is_default: bool | None = None,
) -> LegalEntity:
    """This function will change a legal entity, from the next invoice on; issued ones stay.

    `is_default` true makes it the default instead of the one that is. Raises NotFound, InvalidTransition (archived)
    and InvalidField (also for making the default one none: another one is made the default).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found, default = find_legal_entity(cur, entity), default_legal_entity(cur)
    if is_default is False and found.is_default:
        raise InvalidField("Make another legal entity the default instead.", pointer="/is_default")
    changed, fact = entity_changed(found, changes, at=locked.now, is_default=is_default)
    facts = [fact]
    if changed.is_default and default is not None and default.id != found.id:
        facts.insert(0, entity_changed(default, {}, at=locked.now, is_default=False)[1])
    record(cur, facts, author=author)
    return changed


def archive_legal_entity(cur: Cursor, *, entity: str, author: Author) -> LegalEntity:
    """This function will end a legal entity; its invoices stay. Raises NotFound, and InvalidTransition for the default
    one and for one that billing profiles name."""
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_legal_entity(cur, entity, lock="to_archive")
    ended, fact = entity_archived(found, named_by=names_entity(cur, found.id), at=locked.now)
    record(cur, [fact], author=author)
    return ended
