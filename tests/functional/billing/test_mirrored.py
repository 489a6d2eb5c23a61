"""Subscriptions and invoices that live at the processor: mirrored; a paid invoice gives credit once (S83, S84)."""

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from billing.operations.mirroring.applying import apply_invoice, apply_subscription
from billing.rules.payments.applied import Applied
from billing.stripe_gateway.mirrored import invoice_view, subscription_view
from common.ids import new_id
from tests.builders.books import balances, open_books
from tests.builders.deliveries import identifier
from tests.builders.gate import units
from tests.builders.orgs import AUTHOR, Caller, caller, events_of, make_organization, platform, unique, write
from tests.invariants import Still, assert_sound


class Mirror:
    """A customer whose subscription lives at the processor, at a price that gives 20 USD of credit."""

    def __init__(self, credit: str = "20", **given: Any) -> None:
        self.organization = open_books()
        self.customer, self.price = identifier("cus"), identifier("price")
        self.subscription, self.invoice = identifier("sub"), identifier("in")
        answer = platform().post("/v1/mirrored-customers", self.link)
        assert answer.status_code == 201, answer.content
        body = {"price": self.price, "name": "Pro", "credit": credit, "currency": "USD", **given}
        assert platform().post("/v1/credit-prices", body).status_code == 201

    @property
    def link(self) -> dict[str, str]:
        return {"customer": self.customer, "organization": str(self.organization)}

    def subscribed(self, status: str = "active", **given: Any) -> Applied:
        view = subscription_view(
            {
                "id": self.subscription, "customer": self.customer, "status": status, "livemode": False,
                "created": 1_790_000_000, "cancel_at": None, "canceled_at": None, "ended_at": None, "metadata": {},
                "items": {
                    "data": [
                        {
                            "price": {"id": self.price}, "quantity": 1, "current_period_start": 1_790_000_000,
                            "current_period_end": 1_792_592_000,
                        }
                    ]
                },
                **given,
            }
        )  # fmt: skip
        return write(lambda cur: apply_subscription(cur, view, author=AUTHOR))

    def invoiced(
        self,
        status: str = "paid",
        paid: int = 2_000,
        lines: Any = None,
        *,
        came: int | None = None,
        **given: Any,
    ) -> Applied:
        """`came`: how much of what was paid came by a PaymentIntent, in cents; None: all."""
        line = {
            "amount": 2_000, "quantity": 1, "pricing": {"price_details": {"price": self.price}},
            "parent": {"subscription_item_details": {"proration": False}},
        }  # fmt: skip
        view = invoice_view(
            {
                "id": self.invoice, "customer": self.customer, "number": "A-1", "status": status, "livemode": False,
                "currency": "usd", "total": 2_000, "amount_paid": paid, "amount_remaining": 2_000 - paid,
                "attempted": True, "created": 1_790_000_000, "due_date": None, "next_payment_attempt": None,
                "parent": {"subscription_details": {"subscription": self.subscription}},
                "status_transitions": {"paid_at": 1_790_000_100 if status == "paid" else None},
                "lines": {"data": [{**line, **each} for each in (lines or [{}])]},
                **given,
            }
        )  # fmt: skip
        if paid and came is not None:
            paid = came
        if paid:
            view = replace(view, payments=((self.invoice.replace("in", "pi", 1), units("0.01") * paid),))
        return write(lambda cur: apply_invoice(cur, view, author=AUTHOR))

    @property
    def reader(self) -> Caller:
        return caller(self.organization, "billing:read")

    def shown(self, what: str = "invoices") -> dict[str, Any]:
        (found,) = self.reader.get(f"/v1/mirrored-{what}").json()["data"]
        return dict(found)

    def state(self) -> tuple[Any, ...]:
        return (
            self.shown("subscriptions")["status"],
            self.shown()["status"],
            sorted(balances(self.organization).items()),
        )


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestAPaidInvoice:
    def test_gives_the_credit_of_its_price_once(self) -> None:
        mirror = Mirror()
        assert mirror.invoiced().outcome == "applied"
        shown = mirror.shown()
        assert (shown["status"], shown["credit"], shown["amount_paid"]) == ("paid", "20", "20")
        assert shown["grant"] is not None
        books = {"customer_credit": units("20"), "processor_clearing": -units("20")}
        assert balances(mirror.organization) == books
        with Still(mirror.organization):
            for _ in range(3):
                assert mirror.invoiced().outcome == "unchanged"
        assert_sound(mirror.organization)

    @pytest.mark.parametrize(
        ("credit", "expected"),
        [
            ("15", {"customer_credit": "15", "processor_clearing": "-20", "suspense": "5"}),
            ("25", {"customer_credit": "25", "processor_clearing": "-20", "promotional_expense": "-5"}),
        ],
    )
    def test_may_give_another_amount_than_was_paid(self, credit: str, expected: dict[str, str]) -> None:
        mirror = Mirror(credit)
        mirror.invoiced()
        assert balances(mirror.organization) == {
            kind: units(text.lstrip("-")) * (-1 if text[0] == "-" else 1) for kind, text in expected.items()
        }
        assert_sound(mirror.organization)

    @pytest.mark.parametrize(
        ("credit", "came", "expected", "found"),
        [
            ("20", 0, {"customer_credit": "20", "suspense": "-20"}, {"paid_elsewhere": "20"}),
            (
                "20",
                500,
                {"customer_credit": "20", "processor_clearing": "-5", "suspense": "-15"},
                {"paid_elsewhere": "15"},
            ),
            ("15", 0, {"customer_credit": "15", "suspense": "-15"}, {"paid_elsewhere": "15"}),
            (
                "15",
                1_700,
                {"customer_credit": "15", "processor_clearing": "-17", "suspense": "2"},
                {"paid_besides_credit": "2"},
            ),
            (
                "25",
                500,
                {
                    "customer_credit": "25",
                    "processor_clearing": "-5",
                    "suspense": "-15",
                    "promotional_expense": "-5",
                },
                {"paid_elsewhere": "15"},
            ),
        ],
    )
    def test_holds_at_the_processor_what_came_there_alone(
        self, credit: str, came: int, expected: dict[str, str], found: dict[str, str]
    ) -> None:
        mirror = Mirror(credit)
        mirror.invoiced(came=came)
        assert balances(mirror.organization) == {
            kind: units(text.lstrip("-")) * (-1 if text[0] == "-" else 1) for kind, text in expected.items()
        }
        told = platform().get("/v1/findings", organization=str(mirror.organization)).json()["data"]
        assert {one["kind"]: one["detail"]["in_suspense"] for one in told} == {
            kind: units(amount) for kind, amount in found.items()
        }
        assert_sound(mirror.organization)

    def test_gives_it_for_each_of_the_quantity_and_not_for_prorations_or_trials(self) -> None:
        mirror = Mirror()
        lines: list[dict[str, Any]] = [
            {"quantity": 3},
            {"amount": 0},
            {"parent": {"subscription_item_details": {"proration": True}}},
            {"pricing": {"price_details": {"price": "price_other"}}},
        ]
        mirror.invoiced(lines=lines)
        assert mirror.shown()["credit"] == "60"

    def test_of_a_price_without_credit_waits_until_it_has_some(self) -> None:
        mirror = Mirror()
        platform().post(f"/v1/credit-prices/{mirror.price}/archive")
        assert mirror.invoiced() == Applied("parked", "none of its prices gives credit")
        assert (mirror.shown()["status"], mirror.shown()["credit"]) == ("paid", "0")
        assert balances(mirror.organization) == {}
        body = {"price": mirror.price, "name": "Pro", "credit": "20", "currency": "USD"}
        assert platform().post("/v1/credit-prices", body).status_code == 201
        assert mirror.invoiced().outcome == "applied"
        assert mirror.shown()["credit"] == "20"

    def test_in_another_currency_gives_nothing(self) -> None:
        mirror = Mirror()
        assert mirror.invoiced(currency="eur").outcome == "parked"
        assert balances(mirror.organization) == {}

    def test_of_a_customer_that_nobody_knows_waits(self) -> None:
        mirror = Mirror()
        mirror.customer = identifier("cus")
        with Still(mirror.organization):
            assert mirror.invoiced() == Applied("parked", "no organization is this customer")
            assert mirror.subscribed() == Applied("parked", "no organization is this customer")

    def test_in_the_shape_before_basil_is_the_same(self) -> None:
        mirror = Mirror()
        old = {"parent": None, "pricing": None, "price": {"id": mirror.price}, "proration": False}
        mirror.invoiced(parent=None, subscription=mirror.subscription, lines=[old])
        assert (mirror.shown()["credit"], mirror.shown()["subscription"]) == ("20", mirror.subscription)


class TestOrder:
    def test_of_what_is_told_does_not_matter(self) -> None:
        """Every order in which states are fetched ends in the same rows, for what is final stays (W2)."""
        ends = set()
        for order in permutations(range(3)):
            mirror = Mirror()
            steps = [
                lambda it: it.invoiced("open", 0),
                lambda it: it.invoiced(),
                lambda it: it.subscribed("canceled", ended_at=1_790_000_900),
            ]
            for step in order:
                steps[step](mirror)
            mirror.subscribed("active")  # an update that comes late
            mirror.invoiced()
            ends.add(repr(mirror.state()))
        assert len(ends) == 1
        assert "canceled" in ends.pop()

    def test_never_opens_what_is_paid(self) -> None:
        mirror = Mirror()
        mirror.invoiced()
        with Still(mirror.organization):
            assert mirror.invoiced("open", 0).outcome == "unchanged"


class TestWhatIsMirrored:
    def test_is_read_by_its_own_organization_alone(self) -> None:
        mirror = Mirror()
        mirror.subscribed()
        mirror.invoiced()
        other = caller(make_organization(), "billing:read")
        for what in ("subscriptions", "invoices"):
            path = f"/v1/mirrored-{what}"
            assert other.get(path).json()["data"] == []
            assert problem(other.get(path, organization=str(mirror.organization))) == (404, "not_found")
            shown = platform().get(path, organization=str(mirror.organization)).json()["data"]
            assert shown == [mirror.shown(what)]
        assert mirror.shown("subscriptions")["items"] == [{"price": mirror.price, "quantity": 1}]

    def test_has_the_organization_that_the_platform_names(self) -> None:
        mirror = Mirror()
        before = events_of(mirror.organization)
        assert platform().post("/v1/mirrored-customers", mirror.link).status_code == 201
        assert events_of(mirror.organization) == before
        other = {**mirror.link, "organization": str(open_books())}
        mirror.subscribed()
        assert problem(platform().post("/v1/mirrored-customers", other)) == (409, "invalid_transition")
        assert problem(caller(mirror.organization, "admin").post("/v1/mirrored-customers", other)) == (
            403,
            "forbidden",
        )
        unknown = {**mirror.link, "organization": str(new_id())}
        assert problem(platform().post("/v1/mirrored-customers", unknown)) == (404, "not_found")


class TestACreditPrice:
    def test_is_made_changed_and_archived(self) -> None:
        who, price = platform(), identifier("price")
        body = {"price": price, "name": "Pro", "credit": "20", "currency": "USD", "lifetime_days": 90}
        key = unique()
        made = who.post("/v1/credit-prices", body, key=key)
        assert made.status_code == 201
        assert who.post("/v1/credit-prices", body, key=key).content == made.content
        assert problem(who.post("/v1/credit-prices", body)) == (409, "name_conflict")
        path = f"/v1/credit-prices/{price}"
        assert who.get(path).json() == made.json()
        changed = who.patch(path, {"credit": "30", "lifetime_days": None}).json()
        assert (changed["credit"], changed["lifetime_days"], changed["version"]) == ("30", None, 2)
        ended = who.post(f"{path}/archive").json()
        assert ended["archived_at"] is not None
        assert who.post(f"{path}/archive").json() == ended
        assert problem(who.patch(path, {"credit": "40"})) == (409, "invalid_transition")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"credit": "0"}, "invalid_amount"),
            ({"credit": 20}, "invalid_amount"),
            ({"currency": "usd"}, "invalid_currency"),
            ({"price": "price 1"}, "invalid_field"),
            ({"price": ""}, "invalid_field"),
            ({"lifetime_days": 0}, "invalid_field"),
            ({"lifetime_days": "90"}, "invalid_field"),
            ({"other": 1}, "unknown_field"),
        ],
    )
    def test_is_refused_by_name(self, change: dict[str, Any], code: str) -> None:
        body = {"price": "price_refused", "name": "Pro", "credit": "20", "currency": "USD", **change}
        assert problem(platform().post("/v1/credit-prices", body)) == (400, code)
        assert problem(platform().get("/v1/credit-prices/price_refused")) == (404, "not_found")

    def test_is_the_platforms_alone(self) -> None:
        who = caller(make_organization(), "admin", "billing:read", "billing:write")
        for answer in (
            who.get("/v1/credit-prices"),
            who.post("/v1/credit-prices", {"price": "price_x"}),
            who.patch("/v1/credit-prices/price_x", {"name": "x"}),
            who.post("/v1/credit-prices/price_x/archive"),
            who.get("/v1/mirrored-customers"),
        ):
            assert problem(answer) == (403, "forbidden")
