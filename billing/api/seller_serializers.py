"""What requests about legal entities may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field

from billing.rules import countries, sellers
from common.api.serializers import (
    CurrencyField,
    FlagField,
    IdField,
    InstantField,
    KeyField,
    QuantityField,
    StrictField,
    StrictSerializer,
    TextField,
    WordField,
)

ADDRESS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "string", "maxLength": 200} for name in sellers.ADDRESS if name != "country"
    }
    | {"country": {"type": "string", "pattern": "^[A-Z]{2}$"}},
}


def _as_it_came(value: object, *, pointer: str = "") -> object:
    return value


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{2}$", "examples": ["DE"]})
class CountryField(StrictField):
    """A country by its code of ISO 3166-1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(countries.country, **kwargs)


class CheckedField(StrictField):
    """A field whose check names the places inside it, which a serializer cannot; the view checks it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_as_it_came, **kwargs)


@extend_schema_field(ADDRESS)
class AddressField(CheckedField):
    """A postal address."""


@extend_schema_field(
    {
        "type": "object",
        "description": "By country. Check digits are checked where they are known.",
        "additionalProperties": {"type": "string"},
        "examples": [{"DE": "DE136695976"}],
    }
)
class VatIdsField(CheckedField):
    """VAT ids by country."""


@extend_schema_field({"type": "string", "examples": [sellers.DEFAULT_PATTERN]})
class PatternField(StrictField):
    """The pattern of invoice numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sellers.number_pattern, **kwargs)


@extend_schema_field({"type": "string", "pattern": "^[A-Z0-9]{1,10}$"})
class SeriesField(StrictField):
    """The name of a series of numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sellers.series, **kwargs)


class LegalEntityChangeSerializer(StrictSerializer):
    """Changes of a legal entity, from the next invoice on; its key and country stay."""

    key = KeyField(read_only=True)
    country = CountryField(read_only=True)
    name = TextField(required=False)
    currency = CurrencyField(required=False)
    address = AddressField(required=False)
    vat_ids = VatIdsField(required=False)
    number_pattern = PatternField(
        required=False, help_text=f"Default {sellers.DEFAULT_PATTERN}: series, year and counter, each once."
    )
    invoice_series = SeriesField(required=False, help_text="Default INV.")
    credit_note_series = SeriesField(required=False, help_text="Default CN.")
    is_default = FlagField(
        required=False, help_text="Whether it sells to customers that name nobody else; the first one does."
    )


class LegalEntitySerializer(LegalEntityChangeSerializer):
    """A legal entity: who sells, as it stands on invoices."""

    id = IdField(read_only=True)
    key = KeyField()
    name = TextField()
    country = CountryField()
    currency = CurrencyField()
    tax_area = TextField(read_only=True, help_text="EU, or the country.")
    is_default = FlagField(read_only=True)
    status = WordField(("active", "archived"), read_only=True)
    version = QuantityField(read_only=True)
    created_at = InstantField(read_only=True)
    archived_at = InstantField(read_only=True, allow_null=True)
