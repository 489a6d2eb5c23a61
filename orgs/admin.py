"""Organizations for the staff: everything can be read, nothing edited; actions call the operations.

The rows are projections of events, so there is no form that saves them and no delete, also for a superuser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.models import Agent, ApiKey, Connection, Member, Organization, Team, Workflow
from orgs.operations.api_keys import revoke_api_key
from orgs.operations.archive import archive_member, archive_subject
from orgs.operations.facts import Author
from orgs.operations.organizations import close_organization

if TYPE_CHECKING:  # generic to the type checker only
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin
MAX_CHOICES: Final = 500
Operation = Callable[[Any, Author, Cursor], Any]


class ReadOnlyAdmin(_ModelAdmin):
    """Rows to look at. Actions need the permission to change this kind of object."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is edited here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is deleted, anywhere."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this person may use the actions."""
        name = self.opts.model_name
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{name}"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, or word of what to do to see one."""
        filters = self.get_list_filter(request)
        if OrganizationFilter in filters and not request.GET.get(OrganizationFilter.parameter_name):
            self.message_user(request, "Choose an organization in the filter to see its rows.", messages.INFO)
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The page of one row; a refusal of the operation that it calls is shown above the form."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ProblemError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def run(self, request: HttpRequest, rows: QuerySet[Any], operation: Operation) -> None:
        """Run an operation for each chosen row, each in a transaction of its own, and say what came of it."""
        self.each(request, rows, lambda row, author: run_in_transaction(partial(operation, row, author)))

    def each(self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any, Author], object]) -> None:
        """Do something that has transactions of its own for each chosen row, and say what came of it."""
        author, done = Author(f"staff:{request.user.pk}"), 0
        for row in rows:
            try:
                act(row, author)
                done += 1
            except ProblemError as error:
                self.message_user(request, f"{row}: {error.detail}", messages.ERROR)
        if done:
            self.message_user(request, f"{done} done.", messages.SUCCESS)


class OrganizationFilter(admin.SimpleListFilter):
    """One organization's rows; until one is chosen there are none, for large tables are indexed by organization."""

    title = "organization"
    parameter_name = "organization"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The organizations by name."""
        rows = Organization.objects.filter(is_platform=False).order_by("name")[:MAX_CHOICES]
        return [(str(row.id), row.name) for row in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen organization."""
        chosen = self.value()
        return queryset.filter(organization=chosen) if chosen else queryset.none()


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    """Organizations."""

    list_display = ("name", "id", "currency", "funding", "status", "is_platform", "created_at")
    list_filter = ("status", "funding", "currency")
    search_fields = ("name", "=id")
    actions = ("close",)

    @admin.action(description="Close the chosen organizations", permissions=["operate"])
    def close(self, request: HttpRequest, rows: QuerySet[Organization]) -> None:
        """Close each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: close_organization(cur, organization=row.id, author=author),
        )


class SubjectAdmin(ReadOnlyAdmin):
    """Teams, agents, workflows and connections."""

    list_display: Any = ("key", "name", "organization", "created_at", "archived_at")
    list_filter: ClassVar[Any] = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("key", "name", "=id", "=organization")
    exclude = ("key_folded", "name_folded")
    actions = ("archive",)

    @admin.action(description="Archive the chosen ones", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Archive each of them: no new calls, history stays."""
        kind = str(self.opts.model_name)
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_subject(
                cur, kind, organization=row.organization, name=str(row.id), author=author
            ),
        )


@admin.register(Team)
class TeamAdmin(SubjectAdmin):
    """Teams."""


@admin.register(Agent)
class AgentAdmin(SubjectAdmin):
    """Agents."""

    list_display: Any = ("key", "name", "organization", "team_id", "created_at", "archived_at")


@admin.register(Workflow)
class WorkflowAdmin(SubjectAdmin):
    """Workflows."""


@admin.register(Connection)
class ConnectionAdmin(SubjectAdmin):
    """Connections."""

    list_display: Any = ("key", "name", "organization", "billing", "created_at", "archived_at")
    list_filter: ClassVar[Any] = ("billing", ("archived_at", admin.EmptyFieldListFilter))


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    """Members, without their personal data."""

    list_display = ("id", "organization", "role", "team_id", "created_at", "archived_at")
    list_filter = ("role",)
    search_fields = ("=id", "=organization")
    actions = ("archive",)

    @admin.action(description="Archive the chosen members; their keys stop", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Member]) -> None:
        """Archive each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: archive_member(
                cur, organization=row.organization, name=str(row.id), author=author
            ),
        )


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys, without what their secrets are compared with."""

    list_display = ("prefix", "name", "organization", "scopes", "expires_at", "revoked_at", "last_used_at")
    search_fields = ("prefix", "name", "=id", "=organization")
    exclude = ("secret_hash",)
    actions = ("revoke",)

    @admin.action(description="Revoke the chosen keys at once", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> None:
        """Revoke each of them."""
        self.run(
            request,
            rows,
            lambda row, author, cur: revoke_api_key(
                cur, organization=row.organization, name=str(row.id), author=author
            ),
        )
