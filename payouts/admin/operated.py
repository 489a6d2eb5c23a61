"""Forms of the staff that call the operations of the API: who may, what is refused, and in whose name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from common.errors import ProblemError
from orgs.admin import ReadOnlyAdmin

if TYPE_CHECKING:  # generic to the type checker only
    _Form = forms.BaseForm
else:
    _Form = object


class ReasonForm(ActionForm):
    """Why."""

    reason = forms.CharField(required=False, max_length=500)


class RefusingForm(_Form):
    """A form whose fields are read as the API reads them."""

    def refuse(self, error: ProblemError) -> None:
        """Show a refusal beside the field that it is about."""
        wrong = error.errors[0].pointer.partition("/")[2] if error.errors else ""
        self.add_error(wrong if wrong in self.fields else None, ValidationError(error.detail))

    def _post_clean(self) -> None:
        """The texts are no values of the row, which the operation makes."""


class OperatedAdmin(ReadOnlyAdmin):
    """Rows that operations make: whoever has the permission to add them asks for a new one by a form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add rows of this kind."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}"))
