"""Forms of the staff that call the operations of the API: what is refused is said in the form, a form that is sent
twice does once what it says, and the person is the author of the event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from common.errors import InvalidField, InvalidJson, ProblemError, combined
from common.idempotency import Answer, idempotent, keyed_request
from common.ids import new_id
from common.strictjson import parse_object
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.admin import ReadOnlyAdmin
from orgs.operations.facts import Author

if TYPE_CHECKING:  # generic to the type checker only
    _Form = forms.BaseForm
    _ModelForm = forms.ModelForm[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _Form = object
    _ModelForm = forms.ModelForm
    _ModelAdmin = admin.ModelAdmin

Read = Callable[..., Any]
SAVE_AGAIN: Final = "Nothing is saved yet. This is what it does; save again if that is meant:"
KEY: Final = "form_key"
SHOWN: Final = "shown"


class RefusingForm(_Form):
    """A form whose fields are read as the API reads them."""

    def refuse(self, error: ProblemError) -> None:
        """Show everything that is wrong, each beside the field that it is about."""
        for pointer, detail in [(one.pointer, one.detail) for one in error.errors] or [("", error.detail)]:
            name, _, inside = pointer.removeprefix("/").partition("/")
            text = f"{pointer}: {detail}" if inside or (name and name not in self.fields) else detail
            self.add_error(name if name in self.fields else None, ValidationError(text))

    def _post_clean(self) -> None:
        """The texts are no values of the row, which the operation makes."""


class OperatedForm(RefusingForm, _ModelForm):
    """What a person asks of an operation. `READ`: how each field's text becomes its value, as in the API; what is left
    empty is not said. `refusal` is what the operation answered, when the form is shown again."""

    READ: ClassVar[Mapping[str, Read]] = {}
    refusal: ClassVar[ProblemError | None] = None
    form_key = forms.UUIDField(widget=forms.HiddenInput, initial=new_id)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row = kwargs.get("instance")
        if row is not None:
            kwargs["initial"] = {**self.known(row), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        self.said: dict[str, Any] = {}

    def known(self, row: Any) -> dict[str, Any]:
        """What the fields say of a row before anybody changes them."""
        return {}

    def clean(self) -> dict[str, Any]:
        """Read the fields by the rules of the API."""
        values = super().clean() or {}
        try:
            if self.refusal is not None:
                raise self.refusal
            if not self.errors:
                self.said = self._said(values)
                self.judge()
        except ProblemError as error:
            self.refuse(error)
        return values

    def judge(self) -> None:
        """Refuse what is wrong of several fields together. Raises ProblemError."""

    def show_first(self, said: Any, told: Callable[[], Sequence[str]]) -> None:
        """Save only what was looked at: unless this very thing was, refuse it and show what it does. The form has a
        hidden field `shown`."""
        digest = sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
        if self.data.get(SHOWN) == digest:
            return
        lines = told()
        self.data = {**{name: self.data.get(name) for name in self.data}, SHOWN: digest}
        self.add_error(None, ValidationError([SAVE_AGAIN, *(lines or ["Nothing."])]))

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Do what is said, to a row or (None) for a new one, and return whose page is shown. Raises ProblemError."""
        raise NotImplementedError

    @property
    def body(self) -> dict[str, str]:
        """What was sent, to tell whether it is the same again."""
        return {name: str(self.data.get(name, "")) for name in self.fields if name != KEY}

    def _said(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found, wrong = {}, []
        for name in self.fields:
            value = values.get(name)
            if name == KEY or value is None or value == "":
                continue
            try:
                found[name] = self.READ[name](value, pointer=f"/{name}") if name in self.READ else value
            except ProblemError as error:
                wrong.append(error)
        if wrong:
            raise combined(wrong)
        return found


class FormAdmin(ReadOnlyAdmin):
    """Rows that operations make and change, by a form for either; None: there is none."""

    new_form: ClassVar[type[OperatedForm] | None] = None
    changing_form: ClassVar[type[OperatedForm] | None] = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add rows of this kind."""
        return self.new_form is not None and self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change rows of this kind; one that is at its end stays as it is."""
        if self.changing_form is None or (obj is not None and not self.may_change(obj)):
            return False
        return self._may(request, "change")

    def may_change(self, row: Any) -> bool:
        """Whether its state allows the form."""
        return getattr(row, "archived_at", None) is None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The form of a new one; of an old one what may change, and everything else to read."""
        if obj is None:
            return _names(self.new_form)
        asked = self._asked(request, obj)
        return [*asked, *(name for name in self._shown() if name not in asked)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Whatever the form does not ask."""
        if obj is None:
            return []
        asked = self._asked(request, obj)
        return [name for name in self._shown() if name not in asked]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, with what the operation refused."""
        base = self.new_form if obj is None else self.changing_form
        if base is not None:
            refusal = getattr(request, "refusal", None)
            kwargs["form"] = type(base.__name__, (base,), {"refusal": refusal, "__module__": base.__module__})
        return super().get_form(request, obj, change, **kwargs)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The page of one row; what the operation refuses is shown in the form, with what was said in it."""
        page = super(ReadOnlyAdmin, self).changeform_view
        try:
            return page(request, object_id, form_url, extra_context)
        except ProblemError as error:
            if request.method != "POST":
                raise
            request.refusal = error  # type: ignore[attr-defined]
            return page(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Have the operation do it, once for a form however often it is sent."""
        author = Author(f"staff:{request.user.pk}")

        def answered(cur: Cursor) -> Answer:
            return Answer(200, json.dumps(str(form.operate(cur, obj if change else None, author))).encode())

        asked = keyed_request(
            organization=PLATFORM_ID,
            key=f"{author.actor}:{form.cleaned_data[KEY]}",
            method="POST",
            path=request.path,
            body=form.body,
        )
        obj.pk = UUID(json.loads(idempotent(answered, request=asked).body))
        obj.refresh_from_db()

    def _may(self, request: HttpRequest, verb: str) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}"))

    def _asked(self, request: HttpRequest, row: Any) -> list[str]:
        return _names(self.changing_form) if self.has_change_permission(request, row) else []

    def _shown(self) -> list[str]:
        hidden = self.exclude or ()
        names = [field.name for field in self.opts.fields if field.name not in hidden]
        return [*names, *(name for name in map(str, self.readonly_fields) if name not in names)]


def _names(form: type[OperatedForm] | None) -> list[str]:
    """The fields of a form in their order."""
    return [] if form is None else list(form.field_order or form.declared_fields)


def area(rows: int = 8, **given: Any) -> forms.CharField:
    """Return a field for a text of many lines."""
    return forms.CharField(widget=forms.Textarea(attrs={"rows": rows, "cols": 90}), **given)


def document(parse: Callable[[dict[str, Any], str], Any]) -> Read:
    """Return how a JSON object is read that a rule parses; what is no JSON is refused beside its field."""

    def read(text: str, *, pointer: str) -> Any:
        try:
            found = parse_object(text.encode())
        except ProblemError as error:
            detail = "This is no JSON object." if isinstance(error, InvalidJson) else error.detail
            raise InvalidField(detail, pointer=pointer) from None
        return parse(found, pointer)

    return read


def listed(read: Read) -> Read:
    """Return how values that stand one a line, or with commas between, are read; each by `read`."""

    def each(text: str, *, pointer: str) -> list[Any]:
        names = [name.strip() for name in text.replace("\n", ",").split(",") if name.strip()]
        if len(set(names)) != len(names):
            raise InvalidField("The list names something twice.", pointer=pointer)
        return [read(name, pointer=pointer) for name in names]

    return each
