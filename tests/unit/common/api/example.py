"""A small API of its own: the plumbing is tested without any business words."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common import fields
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.requests import read_object
from common.api.serializers import (
    AmountField,
    CurrencyField,
    DateField,
    FlagField,
    FreeObjectField,
    IdField,
    InstantField,
    KeyField,
    MetadataField,
    MeteredQuantityField,
    PriceField,
    QuantityField,
    ReferenceField,
    StrictSerializer,
    TextField,
    TimeZoneField,
    WholeNumberField,
    WordField,
    WordsField,
)
from common.api.views import ApiView, PublicApiView, path_id
from common.bodies import BodyReader
from common.errors import InvalidCredentials

ONE = UUID("0198c5a2-0000-7000-8000-000000000001")
OTHER = UUID("0198c5a2-0000-7000-8000-000000000002")
ROWS = list(range(45))


@dataclass(frozen=True)
class Caller:
    organization: UUID
    scopes: frozenset[str] = frozenset({"things"})
    actor: str = "key:test"

    def has_scope(self, scope: str) -> bool:
        return scope in self.scopes


CALLERS = {
    "Bearer one": Caller(ONE),
    "Bearer other": Caller(OTHER),
    "Bearer poor": Caller(ONE, frozenset()),
}


def authenticate(request: HttpRequest) -> Caller:
    try:
        return CALLERS[request.headers.get("Authorization", "")]
    except KeyError:
        raise InvalidCredentials from None


class Nested(StrictSerializer):
    agent = KeyField()
    step = QuantityField(required=False)


class Thing(StrictSerializer):
    later = ("fail_mode",)

    name = TextField()
    amount = AmountField(document_currency="currency")
    currency = CurrencyField()
    limit = AmountField(required=False, allow_zero=True)
    tokens = QuantityField(required=False)
    metered = MeteredQuantityField(required=False)
    price = PriceField(required=False)
    key = KeyField(required=False)
    owner = ReferenceField(required=False)
    ref = IdField(required=False)
    at = InstantField(required=False)
    day = DateField(required=False)
    flag = FlagField(required=False, default=True)
    window = WordField(["day", "week"], required=False)
    scopes = WordsField(["admin", "read"], required=False)
    ttl = WholeNumberField(minimum=1, maximum=60, required=False)
    zone = TimeZoneField(required=False, default="UTC")
    metadata = MetadataField(required=False)
    raw = FreeObjectField(required=False)
    subject = Nested(required=False)
    total = AmountField(read_only=True)


class Things(ApiView):
    required_scope = "things"
    query_parameters = ("state",)
    paged = True

    @extend_schema(responses=Thing)
    def get(self, request: Request) -> HttpResponse:
        self.query.choice("state", options=("open", "closed"))
        page = self.query.page(organization=self.principal.organization, path=request.path)
        first = page.position[0] + 1 if page.position else 0
        rows = ROWS[first : first + page.fetch]
        return json_response(
            envelope(rows, page=page, position=lambda row: (row,), show=lambda row: {"number": row})
        )

    @extend_schema(request=Thing, responses={201: Thing})
    def post(self, request: Request) -> HttpResponse:
        serializer = Thing(data=request.data)
        serializer.is_valid(raise_exception=True)
        return json_response({"data": Thing(serializer.validated_data).data}, status=201)

    def patch(self, request: Request) -> HttpResponse:
        serializer = Thing(data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        return json_response({"given": sorted(serializer.validated_data)})


class ThingView(ApiView):
    required_scope = {"GET": "things", "POST": "things"}
    bodiless = ("POST",)

    def get(self, request: Request, thing: str) -> HttpResponse:
        return json_response({"id": path_id(thing)})

    def post(self, request: Request, thing: str) -> HttpResponse:
        return json_response({"stopped": thing})


class Open(PublicApiView):
    def get(self, request: Request) -> HttpResponse:
        return json_response({"open": True})


class Broken(ApiView):
    def get(self, request: Request) -> HttpResponse:
        raise {"defect": ZeroDivisionError("secret"), "gone": Http404("secret")}[
            request.path.rsplit("/", 1)[1]
        ]


@csrf_exempt
def plain_post(request: HttpRequest) -> HttpResponse:
    with BodyReader(read_object(request), allowed={"name"}) as reader:
        name = reader.required("name", fields.text)
    return json_response({"name": name}, status=201)


def unguarded(request: HttpRequest) -> Any:
    raise ZeroDivisionError("secret")


urlpatterns = [
    path("v1/things", Things.as_view()),
    path("v1/things/<str:thing>", ThingView.as_view()),
    path("v1/open", Open.as_view()),
    path("v1/broken/<str:_>", lambda request, _: Broken.as_view()(request)),
    path("v1/plain", plain_post),
    path("v1/unguarded", unguarded),
]

handler400 = "common.api.answers.bad_request"
handler403 = "common.api.answers.permission_denied"
handler404 = "common.api.answers.not_found"
handler500 = "common.api.answers.server_error"
