"""The catalog's answers are as the description says, and every address is described."""

import json
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from tests.builders.catalog import definition, make_coupon, make_entity
from tests.builders.metering import ensure_meter
from tests.builders.orgs import caller, make_organization, platform, unique

ADDRESSES = {
    "/v1/plans": {"get", "post"},
    "/v1/plans/{name}": {"get"},
    "/v1/plans/{name}/archive": {"post"},
    "/v1/plans/{name}/price-preview": {"post"},
    "/v1/plans/{name}/versions": {"get", "post"},
    "/v1/plans/{name}/versions/{number}": {"get"},
    "/v1/plans/{name}/versions/{number}/publish": {"post"},
    "/v1/coupons": {"get", "post"},
    "/v1/coupons/{name}": {"get", "patch"},
    "/v1/coupons/{name}/archive": {"post"},
    "/v1/coupon-redemptions": {"get", "post"},
    "/v1/coupon-redemptions/{name}": {"get"},
    "/v1/coupon-redemptions/{name}/end": {"post"},
    "/v1/legal-entities": {"get", "post"},
    "/v1/legal-entities/{name}": {"get", "patch"},
    "/v1/legal-entities/{name}/archive": {"post"},
    "/v1/tax-rates": {"get", "post"},
    "/v1/tax-rates/{name}": {"get"},
    "/v1/tax-rates/{name}/end": {"post"},
    "/v1/billing-profile": {"get", "patch"},
    "/v1/billing-profile/erase-contact": {"post"},
    "/v1/billing-profile/check-vat-id": {"post"},
    "/v1/entitlements": {"get"},
}
TIERS = [{"up_to": "100", "unit_price": "0.01", "flat": "5"}, {"up_to": None, "unit_price": "0.001"}]
CALLS = {
    "key": "calls",
    "name": "API calls",
    "kind": "metered",
    "meter": "api_calls",
    "prices": {"USD": {"model": "graduated", "tiers": TIERS, "minimum": "3"}},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Client().get("/v1/openapi.json").content)
    return found


def test_every_address_is_described(document: dict[str, Any]) -> None:
    methods = {"get", "post", "patch", "put", "delete"}
    assert {path: methods & set(document["paths"].get(path, {})) for path in ADDRESSES} == ADDRESSES


def test_answers_are_as_described(document: dict[str, Any]) -> None:
    who, organization, key, code = platform(), make_organization(), unique("plan"), unique("c")
    customer = caller(organization, "admin", "billing:write")

    def told(method: str, template: str, answer: Any) -> dict[str, Any]:
        described = document["paths"][template][method]["responses"][str(answer.status_code)]
        (content,) = described["content"].values()
        schema = {**content["schema"], "components": document["components"]}
        body: dict[str, Any] = answer.json()
        errors = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(body)
        assert [f"{template} {error.json_path}: {error.message[:200]}" for error in errors] == []
        return body

    ensure_meter("api_calls")
    document_of_plan = definition(charges=[*definition()["charges"], CALLS])
    told("post", "/v1/plans", who.post("/v1/plans", {"key": key, "definition": document_of_plan}))
    told("get", "/v1/plans/{name}", who.get(f"/v1/plans/{key}"))
    publish = "/v1/plans/{name}/versions/{number}/publish"
    told("post", publish, who.post(f"/v1/plans/{key}/versions/1/publish"))
    told("get", "/v1/plans/{name}/versions/{number}", customer.get(f"/v1/plans/{key}/versions/1"))
    told("get", "/v1/plans/{name}/versions", customer.get(f"/v1/plans/{key}/versions"))
    told("get", "/v1/plans", customer.get("/v1/plans"))
    preview = {"currency": "USD", "quantities": {"calls": "150"}}
    shown = customer.post(f"/v1/plans/{key}/price-preview", preview)
    assert told("post", "/v1/plans/{name}/price-preview", shown)["lines"][1]["line"]["tiers"]
    told("post", "/v1/plans/{name}/archive", who.post(f"/v1/plans/{key}/archive"))
    offered = who.post("/v1/coupons", {"code": code, "name": "x", "terms": {"amounts": {"USD": "5"}}})
    told("post", "/v1/coupons", offered)
    told("get", "/v1/coupons", who.get("/v1/coupons"))
    redeemed = customer.post("/v1/coupon-redemptions", {"coupon": make_coupon().code})
    name = told("post", "/v1/coupon-redemptions", redeemed)["id"]
    told("get", "/v1/coupon-redemptions", customer.get("/v1/coupon-redemptions"))
    end = "/v1/coupon-redemptions/{name}/end"
    told("post", end, customer.post(f"/v1/coupon-redemptions/{name}/end"))
    entity = make_entity(vat_ids={"DE": "DE136695976"}, address={"city": "Berlin"})
    told("get", "/v1/legal-entities/{name}", who.get(f"/v1/legal-entities/{entity.key}"))
    told("get", "/v1/legal-entities", who.get("/v1/legal-entities"))
    rate = {"country": "EG", "percent": None, "valid_from": "2016-09-08", "source": "The law"}
    name = told("post", "/v1/tax-rates", who.post("/v1/tax-rates", rate))["id"]
    told("get", "/v1/tax-rates", who.get("/v1/tax-rates"))
    told("post", "/v1/tax-rates/{name}/end", who.post(f"/v1/tax-rates/{name}/end"))
    told("get", "/v1/tax-rates/{name}", who.get(f"/v1/tax-rates/{name}"))
    told("get", "/v1/billing-profile", customer.get("/v1/billing-profile"))
    change = {"tax": {"country": "DE", "vat_id": "DE136695976"}, "contact": {"email": "a@example.com"}}
    told("patch", "/v1/billing-profile", customer.patch("/v1/billing-profile", change))
    told("get", "/v1/entitlements", customer.get("/v1/entitlements"))
