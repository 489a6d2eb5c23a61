"""Strict fields for the framework's serializers: the checks of `common.fields`, and their form in the schema.

A serializer of the framework is no validator for money: its decimal, integer, text, UUID and time fields
take numbers for strings, strings for numbers, spaces, signs and full-width digits. Views of the API use
only the fields below.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from common import fields
from common.bodies import SERVER_SET
from common.errors import (
    InvalidAmount,
    InvalidCurrency,
    InvalidField,
    InvalidQuantity,
    NotAvailableYet,
    ProblemError,
    ReadOnlyField,
    UnknownField,
    default_detail,
)
from common.money import MAX_COUNT, format_amount, format_price, format_quantity, parse_amount

AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,8})?$"
FINE_PATTERN = r"^(0|[1-9][0-9]{0,10})(\.[0-9]{1,12})?$"


class StrictField(serializers.Field[Any, Any, Any, Any]):
    """A field that is read by one check of `common.fields`."""

    null_error: ClassVar[type[ProblemError]] = InvalidField

    def __init__(
        self, check: Callable[..., Any], *, options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        self._check = check
        self._options = options or {}
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """The checked value."""
        try:
            return self._check(data, **self._options)
        except ProblemError as error:
            raise serializers.ValidationError(error.detail, code=error.code) from None

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Null in an optional field means absent, unless the field takes null or means an amount."""
        may_be_absent = not self.required and not self.allow_null and self.null_error is InvalidField
        if data is None and may_be_absent and not getattr(self.root, "partial", False):
            data = serializers.empty
        return super().validate_empty_values(data)

    def to_representation(self, value: Any) -> Any:
        """The value as it stands in an answer."""
        return value

    def fail(self, key: str, **kwargs: Any) -> Any:
        """An error of the framework's own: null, or absent."""
        error = self.null_error if key == "null" else InvalidField
        detail = default_detail(error) if key == "null" else "This field is required."
        raise serializers.ValidationError(detail, code=error.code)


@extend_schema_field({"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["12.50"]})
class AmountField(StrictField):
    """An amount: an int in units of 10^-8 inside, a decimal string outside.

    With `document_currency`, the name of the serializer's currency field, no more decimals are taken than
    that currency has.
    """

    null_error = InvalidAmount

    def __init__(
        self, *, allow_zero: bool = False, document_currency: str | None = None, **kwargs: Any
    ) -> None:
        self.allow_zero = allow_zero
        self.document_currency = document_currency
        super().__init__(fields.amount, options={"allow_zero": allow_zero}, **kwargs)

    def to_representation(self, value: int) -> str:
        """The plain decimal string."""
        return format_amount(value)


@extend_schema_field({"type": "string", "pattern": FINE_PATTERN, "examples": ["0.000003"]})
class PriceField(StrictField):
    """A price: an int in 10^-12 of the major unit inside, a decimal string outside."""

    null_error = InvalidAmount

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.price, **kwargs)

    def to_representation(self, value: int) -> str:
        """The plain decimal string."""
        return format_price(value)


@extend_schema_field({"type": "string", "pattern": FINE_PATTERN, "examples": ["3"]})
class MeteredQuantityField(StrictField):
    """A metered quantity: an int in 10^-12 inside, a decimal string outside."""

    null_error = InvalidQuantity

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.metered_quantity, **kwargs)

    def to_representation(self, value: int) -> str:
        """The plain decimal string."""
        return format_quantity(value)


@extend_schema_field({"type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_COUNT})
class QuantityField(StrictField):
    """A count of tokens or other whole things."""

    null_error = InvalidQuantity

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.quantity, **kwargs)


@extend_schema_field({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["USD"]})
class CurrencyField(StrictField):
    """A currency of ISO 4217 that is in use."""

    null_error = InvalidCurrency

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.currency, **kwargs)


@extend_schema_field({"type": "string"})
class TextField(StrictField):
    """A name or, with `multiline`, a longer text; counted in code points, in NFC."""

    def __init__(
        self,
        *,
        max_length: int = fields.MAX_NAME,
        min_length: int = 1,
        multiline: bool = False,
        **kwargs: Any,
    ) -> None:
        options = {"max_length": max_length, "min_length": min_length, "multiline": multiline}
        super().__init__(fields.text, options=options, **kwargs)


@extend_schema_field({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", "maxLength": 100})
class KeyField(StrictField):
    """A caller's own key of an object."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.key, **kwargs)


@extend_schema_field({"type": "string", "maxLength": 100, "description": "Key or id of the object."})
class ReferenceField(StrictField):
    """The key or the id of an object; which of them it is, the query finds out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.text, **kwargs)


@extend_schema_field({"type": "string", "format": "uuid"})
class IdField(StrictField):
    """An id in canonical form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.uuid, **kwargs)

    def to_representation(self, value: UUID) -> str:
        """Lower case with hyphens."""
        return str(value)


@extend_schema_field({"type": "string", "format": "date-time"})
class InstantField(StrictField):
    """A time of RFC 3339 with offset."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.instant, **kwargs)

    def to_representation(self, value: dt.datetime) -> str:
        """RFC 3339 in UTC."""
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@extend_schema_field({"type": "string", "format": "date"})
class DateField(StrictField):
    """A date."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.date, **kwargs)

    def to_representation(self, value: dt.date) -> str:
        """YYYY-MM-DD."""
        return value.isoformat()


@extend_schema_field({"type": "boolean"})
class FlagField(StrictField):
    """true or false."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.boolean, **kwargs)


class WordField(serializers.ChoiceField):
    """One of a few words."""

    def __init__(self, options: Collection[str], **kwargs: Any) -> None:
        super().__init__(choices=sorted(options), **kwargs)
        self._words = frozenset(options)

    def to_internal_value(self, data: Any) -> str:
        """The checked word."""
        try:
            return fields.choice(data, options=self._words)
        except ProblemError as error:
            raise serializers.ValidationError(error.detail, code=error.code) from None


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class WordsField(StrictField):
    """A list of distinct words out of a few, at least one."""

    def __init__(self, options: Collection[str], **kwargs: Any) -> None:
        super().__init__(fields.choices, options={"options": frozenset(options)}, **kwargs)


@extend_schema_field({"type": "integer"})
class WholeNumberField(StrictField):
    """A JSON integer in a range."""

    def __init__(self, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(fields.integer, options={"minimum": minimum, "maximum": maximum}, **kwargs)


@extend_schema_field({"type": "string", "examples": ["Europe/Berlin"]})
class TimeZoneField(StrictField):
    """The name of a time zone of the IANA database."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.time_zone, **kwargs)


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "string", "maxLength": 500}, "maxProperties": 50}
)
class MetadataField(StrictField):
    """Up to 50 texts of the caller's own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.metadata, **kwargs)


@extend_schema_field({"type": "object", "additionalProperties": True})
class FreeObjectField(StrictField):
    """A free-form JSON object."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.free_object, **kwargs)


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses fields it does not know, fields that the server sets, and what is not there
    yet.

    `later` names fields of the interface that are not available yet.
    """

    later: ClassVar[Collection[str]] = ()

    def to_internal_value(self, data: Any) -> Any:
        """The checked values of all fields; every wrong one is listed."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("This is not an object.", code=InvalidField.code)
        errors: dict[str, Any] = self._wrong_names(data)
        values: dict[str, Any] = {}
        known = {name: value for name, value in data.items() if name not in errors and name not in self.later}
        try:
            values = super().to_internal_value(known)
        except serializers.ValidationError as error:
            errors.update(error.detail if isinstance(error.detail, dict) else {"": error.detail})
        errors.update(self._too_fine(known, values))
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _wrong_names(self, data: dict[str, Any]) -> dict[str, list[serializers.ErrorDetail]]:
        wrong: dict[str, list[serializers.ErrorDetail]] = {}
        for name, value in data.items():
            error = self._name_error(name, value)
            if error is not None:
                wrong[name] = [serializers.ErrorDetail(default_detail(error), code=error.code)]
        return wrong

    def _name_error(self, name: str, value: Any) -> type[ProblemError] | None:
        if name in self.later:
            return None if value is None else NotAvailableYet
        field = self.fields.get(name)
        if field is None:
            return ReadOnlyField if name in SERVER_SET else UnknownField
        return ReadOnlyField if field.read_only else None

    def _too_fine(self, data: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """The amounts on documents that have more decimals than their currency."""
        errors = {}
        for name, field in self.fields.items():
            if not isinstance(field, AmountField) or field.document_currency is None or name not in values:
                continue
            try:
                parse_amount(
                    data[name],
                    currency=values.get(field.document_currency),
                    allow_zero=field.allow_zero,
                    document=field.document_currency in values,
                )
            except ProblemError as error:
                errors[name] = [serializers.ErrorDetail(error.detail, code=error.code)]
        return errors
