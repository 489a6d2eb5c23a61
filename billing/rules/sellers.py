"""Legal entities: who sells, as it stands on invoices, and in which series they are numbered. Pure.

A legal entity keeps its key and its country for ever. One of them is the default: it sells to every customer whose
billing profile names nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.rules.countries import country
from billing.rules.numbers import parse_pattern, parse_series
from billing.rules.tax import tax_area
from billing.rules.vatids import check_vat_id
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidTransition, ProblemError
from common.strictjson import child_pointer
from orgs.rules.facts import Fact, time_text, with_changes

ADDRESS: Final = ("line1", "line2", "postal_code", "city", "region", "country")
MAX_VAT_IDS: Final = 50
MAX_VAT_ID: Final = 32
EU: Final = "EU"
FORMS_OUTSIDE: Final = ("CH", "GB", "NO")
"""Outside the EU the countries whose VAT ids have a form that is known."""
DEFAULT_PATTERN: Final = "{series}-{year}-{counter:6}"


class InvalidVatId(ProblemError):
    """No register can know this VAT id: its form or its check digits are wrong, or it is another country's."""

    code = "invalid_vat_id"
    status = 400
    title = "Invalid VAT id"


@dataclass(frozen=True, slots=True)
class EntityTerms:
    """What a legal entity is; `vat_ids` by country, `address` by the names of ADDRESS."""

    name: str
    country: str
    currency: str
    address: Mapping[str, str] = field(default_factory=dict)
    vat_ids: Mapping[str, str] = field(default_factory=dict)
    number_pattern: str = DEFAULT_PATTERN
    invoice_series: str = "INV"
    credit_note_series: str = "CN"


@dataclass(frozen=True, slots=True)
class LegalEntity:
    """A legal entity's row."""

    id: UUID
    organization: UUID
    key: str
    terms: EntityTerms
    is_default: bool
    version: int
    created_at: datetime
    archived_at: datetime | None = None

    @property
    def tax_area(self) -> str:
        """Return the area whose tax rules it stands in: EU, or its country."""
        return tax_area(self.terms.country)


def entity_created(entity: LegalEntity) -> Fact:
    """Return the fact that makes a legal entity. Raises InvalidField for two series of one name."""
    _check(entity.terms)
    return _fact(entity, "created", _data(entity), entity.created_at)


def entity_changed(
    entity: LegalEntity, changes: Mapping[str, Any], *, at: datetime, is_default: bool | None = None
) -> tuple[LegalEntity, Fact | None]:
    """Return the entity with other terms; its country stays. No fact when nothing differs. Issued invoices stay.

    Raises InvalidTransition for an archived one, InvalidField.
    """
    if entity.archived_at is not None:
        raise InvalidTransition("The legal entity is archived.")
    terms = replace(entity.terms, **changes)
    _check(terms)
    default = entity.is_default if is_default is None else is_default
    return _next(entity, replace(entity, terms=terms, is_default=default), "changed", at)


def entity_archived(entity: LegalEntity, *, named_by: int, at: datetime) -> tuple[LegalEntity, Fact | None]:
    """Return the entity as it sells nothing any more. Raises InvalidTransition for the default one, and while billing
    profiles name it."""
    if entity.archived_at is not None:
        return entity, None
    if entity.is_default:
        raise InvalidTransition("This is the default legal entity; make another one that before.")
    if named_by:
        raise InvalidTransition(f"{named_by} billing profiles name this legal entity.")
    return _next(entity, replace(entity, archived_at=at), "archived", at)


def read_address(value: object, *, pointer: str = "") -> dict[str, str]:
    """Return an address: texts by the names of ADDRESS, what is empty left out. Raises InvalidField, InvalidText."""
    if not isinstance(value, dict):
        raise InvalidField("This is not an object.", pointer=pointer)
    reader = BodyReader(value, allowed=ADDRESS, pointer=pointer)
    found = {
        name: reader.optional(name, country)
        if name == "country"
        else reader.optional(name, fields.text, max_length=200, min_length=0)
        for name in ADDRESS
    }
    reader.check()
    return {name: text for name, text in found.items() if text}


def read_vat_ids(value: object, *, pointer: str = "") -> dict[str, str]:
    """Return VAT ids by country as they stand on documents. Raises InvalidField, InvalidText and InvalidVatId."""
    if not isinstance(value, dict) or len(value) > MAX_VAT_IDS:
        raise InvalidField(f"This is no object of at most {MAX_VAT_IDS} VAT ids.", pointer=pointer)
    found = {}
    for code, text in value.items():
        place = child_pointer(pointer, code)
        known = country(code, pointer=place)
        found[known] = vat_id_of(text, known, pointer=place)
    return found


def vat_id_of(value: object, of_country: str, *, pointer: str = "") -> str:
    """Return the VAT id of a country. Where its form is known, check digits are checked; elsewhere any text goes.

    Raises InvalidVatId, InvalidField and InvalidText.
    """
    text = fields.text(value, pointer=pointer, max_length=MAX_VAT_ID)
    checked = check_vat_id(text)
    if checked is not None and checked.country == of_country:
        return checked.text
    if checked is not None or tax_area(of_country) == EU or of_country in FORMS_OUTSIDE:
        raise InvalidVatId(pointer=pointer)
    return text


def number_pattern(value: object, *, pointer: str = "") -> str:
    """Return a pattern of numbers. Raises InvalidField."""
    return _at(pointer, parse_pattern, value)


def series(value: object, *, pointer: str = "") -> str:
    """Return the name of a series. Raises InvalidField."""
    return _at(pointer, parse_series, value)


def _at(pointer: str, check: Any, value: object) -> str:
    try:
        found: str = check(value)
    except InvalidField as error:
        raise InvalidField(error.detail, pointer=pointer) from None
    return found


def _check(terms: EntityTerms) -> None:
    if terms.invoice_series == terms.credit_note_series:
        raise InvalidField(
            "Invoices and credit notes have series of their own.", pointer="/credit_note_series"
        )


def _next(old: LegalEntity, new: LegalEntity, verb: str, at: datetime) -> tuple[LegalEntity, Fact | None]:
    before, data = _data(old), _data(new)
    if before == data:
        return old, None
    new = replace(new, version=old.version + 1)
    return new, _fact(new, verb, with_changes(data, before), at)


def _fact(entity: LegalEntity, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(entity.organization, "legal_entity", entity.id, entity.version, verb, data, at)


def _data(entity: LegalEntity) -> dict[str, Any]:
    terms = entity.terms
    return {
        "key": entity.key,
        "name": terms.name,
        "country": terms.country,
        "address": dict(terms.address),
        "vat_ids": dict(terms.vat_ids),
        "tax_area": entity.tax_area,
        "number_pattern": terms.number_pattern,
        "invoice_series": terms.invoice_series,
        "credit_note_series": terms.credit_note_series,
        "currency": terms.currency,
        "is_default": entity.is_default,
        "created_at": time_text(entity.created_at),
        "archived_at": time_text(entity.archived_at),
    }
