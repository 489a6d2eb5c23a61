"""The declarative reader of a request's body: takes fields out by name and collects everything that is wrong.

    reader = BodyReader(body, allowed={"name", "limit", "currency"})
    name = reader.required("name", fields.text)
    limit = reader.required("limit", fields.amount)
    reader.check()

Until `check()` (or leaving the `with` block) the values of wrong fields are placeholders that nobody may use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from common import fields
from common.errors import (
    InvalidField,
    NotAvailableYet,
    ProblemError,
    ReadOnlyField,
    UnknownField,
    combined,
)
from common.strictjson import child_pointer

_T = TypeVar("_T")

SERVER_SET: Final = frozenset(
    {"id", "org", "organization", "balance", "status", "created_at", "updated_at", "approved_by"}
)
"""Fields that only the server sets, unless an operation allows one by name."""


class BodyReader:
    """Reads the fields of one JSON object.

    `allowed` are the names that may occur, `read_only` further names that the server sets, `later` names that
    belong to the interface and are not available yet: any value but null answers NotAvailableYet. A nested
    reader shares its parent's list of errors.
    """

    def __init__(
        self,
        body: Mapping[str, Any],
        *,
        allowed: Collection[str],
        read_only: Collection[str] = (),
        later: Collection[str] = (),
        pointer: str = "",
        errors: list[ProblemError] | None = None,
    ) -> None:
        self._body = body
        self._pointer = pointer
        self._errors: list[ProblemError] = [] if errors is None else errors
        known = allowed if isinstance(allowed, frozenset | set) else frozenset(allowed)
        if later or not body.keys() <= known:
            self._refuse_names(known, read_only=read_only, later=later)

    def __enter__(self) -> BodyReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.check()

    def __contains__(self, name: str) -> bool:
        """Whether the field was given, also as null."""
        return name in self._body

    def pointer(self, name: str) -> str:
        """The JSON pointer of a field."""
        return child_pointer(self._pointer, name)

    def required(self, name: str, check: Callable[..., _T], **options: Any) -> _T:
        """The checked value of a field that must be there."""
        if name not in self._body:
            self._missing(name)
            return cast(_T, None)
        return self._checked(name, check, options)

    def optional(
        self, name: str, check: Callable[..., _T], *, default: _T | None = None, **options: Any
    ) -> _T | None:
        """The checked value of a field, or the default when it is absent or null.

        Null is wrong, not absent, where an amount, a quantity or a currency is meant.
        """
        if self._absent(name, check):
            return default
        return self._checked(name, check, options)

    def defaulted(self, name: str, check: Callable[..., _T], default: _T, **options: Any) -> _T:
        """The checked value of a field, or a default that is never None."""
        if self._absent(name, check):
            return default
        return self._checked(name, check, options)

    def object(
        self, name: str, *, allowed: Collection[str], later: Collection[str] = ()
    ) -> BodyReader | None:
        """A reader for a nested object, or None when it is absent, null, or no object (which is an error)."""
        if self._body.get(name) is None:
            return None
        return self._nested(self._body[name], self.pointer(name), allowed, later)

    def required_object(
        self, name: str, *, allowed: Collection[str], later: Collection[str] = ()
    ) -> BodyReader:
        """A reader for a nested object that must be there; an empty one after an error."""
        if name not in self._body:
            self._missing(name)
            return BodyReader({}, allowed=(), errors=self._errors)
        found = self._nested(self._body[name], self.pointer(name), allowed, later)
        return found or BodyReader({}, allowed=(), pointer=self.pointer(name), errors=self._errors)

    def objects(
        self, name: str, *, allowed: Collection[str], later: Collection[str] = (), max_items: int = 100
    ) -> Iterator[BodyReader]:
        """Readers for the objects of a list; none when it is absent or null."""
        value = self._body.get(name)
        if value is None:
            return
        if not isinstance(value, list) or len(value) > max_items:
            self.refuse(InvalidField(f"This is no list of at most {max_items}.", pointer=self.pointer(name)))
            return
        for index, item in enumerate(value):
            reader = self._nested(item, child_pointer(self.pointer(name), index), allowed, later)
            if reader is not None:
                yield reader

    def refuse(self, error: ProblemError) -> None:
        """Add an error that the caller found."""
        self._errors.append(error)

    @property
    def failed(self) -> bool:
        """Whether anything was wrong so far: placeholders may be among the values."""
        return bool(self._errors)

    def check(self) -> None:
        """Raise all that was wrong as one error; the first one decides code and status."""
        if self._errors:
            raise combined(self._errors)

    def _refuse_names(
        self, allowed: Collection[str], *, read_only: Collection[str], later: Collection[str]
    ) -> None:
        for name, value in self._body.items():
            if name in later:
                if value is not None:
                    self.refuse(NotAvailableYet(f"{name} is not available yet.", pointer=self.pointer(name)))
            elif name not in allowed:
                known = name in read_only or name in SERVER_SET
                self.refuse((ReadOnlyField if known else UnknownField)(pointer=self.pointer(name)))

    def _absent(self, name: str, check: Callable[..., Any]) -> bool:
        if name not in self._body:
            return True
        return self._body[name] is None and check not in fields.NULL_IS_A_VALUE

    def _checked(self, name: str, check: Callable[..., _T], options: Mapping[str, Any]) -> _T:
        try:
            return check(self._body[name], **options)
        except ProblemError:
            return self._refused(name, check, options)

    def _refused(self, name: str, check: Callable[..., _T], options: Mapping[str, Any]) -> _T:
        """Check again, for the pointer: good fields, which are nearly all, need none and cost none."""
        try:
            check(self._body[name], pointer=self.pointer(name), **options)
        except ProblemError as error:
            self.refuse(error)
        return cast(_T, None)

    def _missing(self, name: str) -> None:
        self.refuse(InvalidField("This field is required.", pointer=self.pointer(name)))

    def _nested(
        self, value: Any, pointer: str, allowed: Collection[str], later: Collection[str]
    ) -> BodyReader | None:
        if not isinstance(value, dict):
            self.refuse(InvalidField("This is not an object.", pointer=pointer))
            return None
        return BodyReader(value, allowed=allowed, later=later, pointer=pointer, errors=self._errors)
