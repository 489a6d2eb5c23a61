"""What every view of the API does before and after its one call into the domain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, cast
from uuid import UUID

import psycopg
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from common.api.answers import answer_response, json_bytes
from common.api.authentication import CredentialsAuthentication as CredentialsAuthentication
from common.api.authentication import Principal as Principal
from common.api.authentication import authenticate as authenticate
from common.api.paging import PAGE_PARAMETERS, QueryReader
from common.api.requests import has_body
from common.errors import Forbidden, InvalidJson, MethodNotAllowed, NotFound
from common.fields import is_id
from common.idempotency import (
    Answer,
    KeyedRequest,
    idempotent,
    keyed_request,
    lookup,
    read_key,
    replay,
)
from common.transactions import run_in_transaction

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def require_scope(principal: Principal, scope: str) -> None:
    """Raises Forbidden when the credentials do not carry the scope."""
    if not principal.has_scope(scope):
        raise Forbidden(f"This needs the scope {scope}.")


def keyed(
    request: HttpRequest, *, principal: Principal, body: Mapping[str, Any], required: bool
) -> KeyedRequest | None:
    """The call with its idempotency key, or None without one.

    Raises IdempotencyKeyRequired and IdempotencyKeyInvalid.
    """
    key = read_key(request.headers.get("Idempotency-Key"), required=required)
    if key is None:
        return None
    return keyed_request(
        organization=principal.organization,
        key=key,
        method=request.method or "",
        path=request.path,
        body=body,
    )


def path_id(text: str) -> UUID:
    """The id in a path. Raises NotFound for everything that is not one in canonical form."""
    if not is_id(text):
        raise NotFound
    return UUID(text)


class ApiView(APIView):
    """A view of the API: credentials, scope, query parameters and body are checked before the method runs.

    `required_scope` is one scope, or one per method. `query_parameters` are the ones that GET takes; with
    `paged` also `limit` and `cursor`. `bodiless` are the methods that may come without a body although they
    could have one. `money_moves` makes the idempotency key of a POST required.
    """

    authentication_classes: Sequence[type[BaseAuthentication]] = (CredentialsAuthentication,)
    required_scope: ClassVar[str | Mapping[str, str] | None] = None
    query_parameters: ClassVar[Collection[str]] = ()
    paged: ClassVar[bool] = False
    bodiless: ClassVar[Collection[str]] = ()
    money_moves: ClassVar[bool] = False

    query: QueryReader

    @property
    def principal(self) -> Principal:
        """Who calls."""
        return cast(Principal, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what the call alone shows to be wrong."""
        super().initial(request, *args, **kwargs)
        method = request.method or ""
        scope = self.scope_for(method)
        if scope is not None:
            require_scope(self.principal, scope)
        self.query = QueryReader(request._request.GET, allowed=self.parameters_for(method))
        if method in WITH_BODY and method not in self.bodiless and not has_body(request._request):
            raise InvalidJson("The body is empty.")

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """405, with the methods that are allowed."""
        raise MethodNotAllowed

    @property
    def allowed_methods(self) -> list[str]:
        """The methods of this view; the framework puts them into the header Allow."""
        return [method for method in super().allowed_methods if method != "OPTIONS"]

    def scope_for(self, method: str) -> str | None:
        """The scope that a method needs."""
        if isinstance(self.required_scope, Mapping):
            return self.required_scope.get(method)
        return self.required_scope

    def parameters_for(self, method: str) -> frozenset[str]:
        """The query parameters that a method takes."""
        if method not in ("GET", "HEAD"):
            return frozenset()
        return frozenset(self.query_parameters) | (PAGE_PARAMETERS if self.paged else frozenset())

    def idempotent(
        self,
        request: Request,
        operation: Callable[[psycopg.Cursor[Any]], Any],
        *,
        status: int = 201,
        alias: str = "default",
    ) -> HttpResponse:
        """Run one operation in one transaction with the call's idempotency key, and answer with what it
        returns.

        The operation gets the transaction's cursor and returns the answer's JSON value. Raises what
        `idempotency.idempotent` raises.
        """

        def answered(cur: psycopg.Cursor[Any]) -> Answer:
            return Answer(status, json_bytes(operation(cur)))

        return answer_response(idempotent(answered, request=self._keyed(request), alias=alias))

    def known_answer(self, request: Request) -> HttpResponse | None:
        """The answer that this call was given before under its key; None: it is new, or has no key. For calls that
        work in several transactions before `idempotent` keeps their answer. Raises IdempotencyKeyReused."""
        call = self._keyed(request)
        if call is None:
            return None
        stored = run_in_transaction(
            lambda cur: lookup(cur, organization=call.organization, keys=[call.key]).get(
                (call.organization, call.key)
            )
        )
        return None if stored is None else answer_response(replay(call, stored))

    def _keyed(self, request: Request) -> KeyedRequest | None:
        body: Any = request.data if has_body(request._request) else {}
        required = self.money_moves and request.method == "POST"
        return keyed(request._request, principal=self.principal, body=body, required=required)


class PublicApiView(ApiView):
    """A view of the API that needs no credentials."""

    authentication_classes = ()
