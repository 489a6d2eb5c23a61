"""What the platform keeps of what listings sell: take rate, and margins before and after partners' shares (S107)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.builders.billing import Billed
from tests.builders.gate import make_model
from tests.builders.marketplace import calling, calling_on_account, make_seller, settled, spend
from tests.builders.metrics import broken, metric, only
from tests.builders.orgs import platform, unique
from tests.functional.payouts.test_revenue_reports import called

FIGURES = (
    "gross_revenue",
    "partner_share",
    "clawed_back",
    "promotions",
    "net_revenue",
    "platform_fee",
    "take_rate",
)


def figures(organization: UUID) -> tuple[Any, ...]:
    """The figures of the one month there is, whose identities hold."""
    assert broken(organization) == []
    row = only("revenue", organization)
    return tuple(row[name] for name in FIGURES)


def invoiced(*amounts: str) -> tuple[Billed, str]:
    made = calling_on_account(make_seller())
    made.use(*amounts)
    made.pass_months()
    made.run()
    settled(made.id)
    return made, str(made.only()["id"])


def months(organization: UUID, *names: str) -> list[list[Any]]:
    assert broken(organization) == []
    return [[row[name] for name in names] for row in metric("revenue", organization, **{"from": "2020-01"})]


class TestOfCallsOfAListing:
    def test_the_platform_keeps_what_the_terms_say(self) -> None:
        seller = make_seller()
        seller.share(fee_rate=300_000)
        customer = calling(seller)
        spend(customer, "10")
        assert figures(customer.id) == ("10", "7", "0", "0", "3", "3", "0.300000")

    def test_what_calls_no_listing_takes_no_part_in_the_rate(self) -> None:
        customer = calling(make_seller(), agents=("bot", "own"))
        spend(customer, "10")
        made = customer.reserved("30", subject={"agent": "own"})
        assert customer.commit(made["id"], "30").status_code == 200
        assert figures(customer.id) == ("40", "8", "0", "0", "32", "2", "0.200000")

    def test_moving_what_was_earned_on_to_the_partner_changes_nothing(self) -> None:
        customer = calling(make_seller())
        spend(customer, "10")
        before = figures(customer.id)
        settled(customer.id)
        customer.pass_time(hours=24 * 8)
        assert settled(customer.id)
        assert months(customer.id, *FIGURES)[0] == list(before)

    def test_credit_given_away_is_shared_and_costs_the_platform_all_of_it(self) -> None:
        customer = calling(make_seller(), credit="0")
        customer.grant("10", kind="promotional")
        spend(customer, "10")
        assert figures(customer.id) == ("10", "8", "0", "10", "-8", "2", "0.200000")


class TestAfterwards:
    def test_a_credit_note_takes_from_both_and_leaves_the_rate(self) -> None:
        made, invoice = invoiced("10")
        line = made.lines(invoice)[0]
        note = {"reason": "too slow", "lines": [{"line": line["number"], "net": "4.00"}]}
        assert made.act(invoice, "credit-notes", note).status_code == 201
        assert settled(made.id)
        found = months(
            made.id, "gross_revenue", "partner_share", "clawed_back", "net_revenue", "platform_fee"
        )
        assert _sums(found) == [6, 4.8, 3.2, 1.2, 2]
        whole = metric("revenue", made.id, **{"from": "2020-01"})
        assert {row["take_rate"] for row in whole} <= {"0.200000", None}

    def test_a_write_off_leaves_the_partner_nothing_and_is_no_fee(self) -> None:
        made, invoice = invoiced("10")
        assert made.act(invoice, "write-off", {"reason": "gone"}).status_code == 200
        assert settled(made.id)
        assert _sums(months(made.id, "partner_share", "clawed_back", "platform_fee")) == [0, 8, 2]
        assert made.pay(invoice, "10.00").status_code < 300
        assert settled(made.id)
        assert _sums(months(made.id, "partner_share", "clawed_back", "platform_fee")) == [8, 0, 2]

    def test_a_reversed_call_takes_its_share_and_fee_back(self) -> None:
        customer = calling(make_seller())
        spend(customer, "10", "5")
        api = platform()
        entries = api.get(f"/v1/entries?organization={customer.id}&kind=usage").json()["data"]
        answer = api.post(f"/v1/entries/{entries[-1]['id']}/reverse", {"reason": "broken"}, key=unique())
        assert answer.status_code == 201, answer.content
        settled(customer.id)
        assert figures(customer.id) == ("5", "4", "0", "0", "1", "1", "0.200000")


class TestMargins:
    def test_are_shown_before_and_after_what_partners_get(self) -> None:
        seller = make_seller()
        seller.share(fee_rate=400_000)
        customer = calling(seller, credit="100", agents=("bot", "own"))
        model, other = make_model(), make_model()
        called(customer, model, agent="bot")
        called(customer, model, agent="own")
        called(customer, other, agent="own")
        spend(customer, "10")
        by_agent = {row["key"]: row for row in metric("margins", customer.id, group_by="agent")}
        assert _margin(by_agent["bot"]) == ["12", "12", "0", "7.2", "-7.2", "-1.500000"]
        assert _margin(by_agent["own"]) == ["4", "4", "0", "0", "0", "0.000000"]
        by_model = {row["key"]: row for row in metric("margins", customer.id, group_by="model")}
        assert _margin(by_model[model]) == ["4", "4", "0", "1.2", "-1.2", "-0.428571"]
        assert _margin(by_model[other]) == ["2", "2", "0", "0", "0", "0.000000"]
        assert _margin(by_model[None]) == ["10", "10", "0", "6", "-6", "-1.500000"]
        (whole,) = metric("margins", customer.id, group_by="customer")
        assert _margin(whole) == ["16", "16", "0", "7.2", "-7.2", "-0.818182"]

    def test_tell_usage_after_the_fact_in_the_hour_in_which_it_was(self) -> None:
        customer = calling(make_seller())
        assert customer.use("5").status_code == 201
        (row,) = metric("margins", customer.id, group_by="agent", **{"from": "2026-01", "to": "2026-01"})
        assert _margin(row) == ["5", "5", "0", "4", "-4", "-4.000000"]


def _margin(row: dict[str, Any]) -> list[str]:
    names = ("charge", "cost", "margin", "partner_share", "platform_margin", "platform_margin_rate")
    return [row[name] for name in names]


def _sums(rows: list[list[Any]]) -> list[float]:
    return [round(sum(map(float, column)), 8) for column in zip(*rows, strict=True)]
