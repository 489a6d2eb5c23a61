"""Forms of the staff that call the operations of the API: who may, what is refused, and in whose name."""

from __future__ import annotations

from django import forms
from django.contrib.admin.helpers import ActionForm
from django.http import HttpRequest

from billing.admin.operated import RefusingForm as RefusingForm
from orgs.admin import ReadOnlyAdmin


class ReasonForm(ActionForm):
    """Why."""

    reason = forms.CharField(required=False, max_length=500)


class OperatedAdmin(ReadOnlyAdmin):
    """Rows that operations make: whoever has the permission to add them asks for a new one by a form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may add rows of this kind."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}"))
