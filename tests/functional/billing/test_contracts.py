"""Contracts through the API: what each call does and refuses, under one key once, and for whom (S77)."""

from datetime import timedelta
from typing import Any

import pytest

from common.ids import new_id
from orgs.operations.organizations import close_organization
from tests.builders.books import open_books
from tests.builders.contracts import (
    DAY,
    PATH,
    act,
    acted,
    agreed,
    commitment,
    drafted,
    owed,
    owner,
    paper,
    pass_days,
    today_of,
)
from tests.builders.orgs import AUTHOR, caller, events_of, make_member, platform, write
from tests.builders.subscriptions import now_of

YEARLY = {"commitment": commitment("prepaid", "year")}
FEE = {"key": "support", "name": "Support", "amount": "500", "interval": {"unit": "month"}}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def shown(contract: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = platform().get(f"{PATH}/{contract['id']}").json()
    return found


class TestADraft:
    def test_holds_nothing_and_its_customer_does_not_see_it(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY, purchase_order="PO-7", net_days=45)
        assert (made["status"], made["number"], made["next_at"]) == ("draft", 1, None)
        assert (made["purchase_order"], made["net_days"]) == ("PO-7", 45)
        assert owed(organization) == []
        who = owner(organization)
        assert problem(who.get(f"{PATH}/{made['id']}"))[:2] == (404, "not_found")
        assert who.get(PATH).json()["data"] == []
        assert [row["id"] for row in platform().get(PATH, organization=str(organization)).json()["data"]] == [
            made["id"]
        ]

    def test_gets_another_document_until_it_is_active(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        definition = paper(organization, "2400", **YEARLY)
        revised = platform().patch(f"{PATH}/{made['id']}", {"definition": definition}).json()
        assert (revised["number"], revised["version"]) == (1, 2)
        assert revised["definition"]["ramp"][0]["amount"] == "2400"
        again = platform().patch(f"{PATH}/{made['id']}", {"definition": definition}).json()
        assert again["version"] == 2
        acted(made, "activate")
        late = platform().patch(f"{PATH}/{made['id']}", {"definition": definition})
        assert problem(late)[:2] == (409, "invalid_transition")

    def test_may_be_dropped(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        dropped = acted(made, "terminate", {"reason": "lost"})
        assert (dropped["status"], owed(organization)) == ("terminated", [])
        assert problem(act(made, "activate"))[:2] == (409, "invalid_transition")

    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"currency": "usd"}, "invalid_currency", "/currency"),
            ({"net_days": -1}, "invalid_field", "/net_days"),
            ({"net_days": "30"}, "invalid_field", "/net_days"),
            ({"term": {"start": "2026-02-29", "end": "2027-01-01"}}, "invalid_datetime", "/term/start"),
            ({"term": {"start": "2026-01-02", "end": "2026-01-02"}}, "invalid_period", "/term/end"),
            ({"term": {"start": "2026-01-01", "end": "2099-01-01"}}, "invalid_period", "/term/end"),
            ({"commitment": {"kind": "free", "window": "month"}}, "invalid_field", "/commitment/kind"),
            ({"commitment": commitment("minimum", rollover=True)}, "invalid_field", "/commitment/rollover"),
            ({"commitment": commitment("prepaid", true_up=False)}, "invalid_field", "/commitment/true_up"),
            ({"commitment": commitment(rollover_cap="5")}, "invalid_field", "/commitment/rollover_cap"),
            (
                {"commitment": commitment(overage={"factor": "-1"})},
                "invalid_amount",
                "/commitment/overage/factor",
            ),
            (
                {"commitment": commitment(overage={"factor": "2", "rate": "1"})},
                "invalid_field",
                "/commitment/overage/rate",
            ),
            ({"commitment": None}, "invalid_field", "/ramp"),
            ({"ramp": [{"from": "2020-01-01", "amount": "1"}]}, "invalid_field", "/ramp/0/from"),
            ({"ramp": [{"from": "2026-01-01", "amount": 1}]}, "invalid_amount", "/ramp/0/amount"),
            ({"ramp": [{"from": "2026-01-01", "amount": "0.001"}]}, "invalid_amount", "/ramp/0/amount"),
            ({"fees": [{**FEE, "amount": "1e3"}]}, "invalid_amount", "/fees/0/amount"),
            ({"fees": [FEE, FEE]}, "invalid_field", "/fees/1/key"),
            ({"prices": [{"provider": "acme"}]}, "invalid_field", "/prices/0/model"),
            ({"prices": [{"tool": "search", "model": "m"}]}, "invalid_field", "/prices/0"),
            ({"prices": [{"tool": "search", "amount": "NaN"}]}, "invalid_amount", "/prices/0/amount"),
            (
                {"prices": [{"provider": "a", "model": "m", "components": {"input": "-1"}}]},
                "invalid_amount",
                "/prices/0/components/input",
            ),
            ({"prices": [{"markup_percent": "5"}] * 2}, "invalid_field", "/prices/1/from"),
            (
                {"prices": [{"markup_percent": "5", "from": "2019-01-01"}]},
                "invalid_period",
                "/prices/0/from",
            ),
            ({"name": "a\u202eb"}, "invalid_text", "/name"),
            ({"price": []}, "unknown_field", "/price"),
            ({"status": "active"}, "read_only_field", "/status"),
        ],
    )
    def test_names_the_place_that_is_wrong(self, change: Any, code: str, pointer: str) -> None:
        organization = open_books()
        definition = {**paper(organization, "100"), **change}
        answer = platform().post(
            PATH, {"organization": str(organization), "definition": definition}, key="wrong"
        )
        status, found, pointers = problem(answer)
        assert (status, found) == (400, code) or pointer in pointers[1:], answer.content
        assert f"/definition{pointer}" in pointers
        assert events_of(organization)[-1][0] != "contract.drafted"

    def test_tells_all_mistakes_at_once(self) -> None:
        organization = open_books()
        definition = {
            **paper(organization, "100"),
            "net_days": -1,
            "name": "",
            "fees": [{**FEE, "amount": "x"}],
        }
        answer = platform().post(PATH, {"organization": str(organization), "definition": definition}, key="k")
        assert set(problem(answer)[2]) == {
            "/definition/net_days", "/definition/name", "/definition/fees/0/amount",
        }  # fmt: skip

    def test_is_in_the_currency_of_its_organization(self) -> None:
        organization = open_books(currency="EUR")
        body = {"organization": str(organization), "definition": paper(organization, "100")}
        assert problem(platform().post(PATH, body, key="k")) == (
            422,
            "currency_mismatch",
            ["/definition/currency"],
        )


class TestWhoMay:
    def test_only_the_platform_writes(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        customers = (caller(organization, "admin", "billing:write"), owner(organization))
        before = len(events_of(organization))
        for who in customers:
            body = {"organization": str(organization), "definition": paper(organization, "1")}
            assert problem(who.post(PATH, body, key="k"))[:2] == (403, "forbidden")
            for verb in ("activate", "amend", "terminate"):
                answer = who.post(f"{PATH}/{made['id']}/{verb}", {}, key="k")
                assert problem(answer)[:2] == (403, "forbidden")
        assert len(events_of(organization)) == before
        assert shown(made)["status"] == "draft"

    @pytest.mark.parametrize(("role", "status"), [("owner", 200), ("billing_admin", 200), ("member", 403)])
    def test_owners_and_billing_administrators_read(self, role: str, status: int) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY)
        member = make_member(organization, role)
        who = caller(organization, "billing:read", member=str(member.id))
        for path in ("", "/versions", "/history", "/drawdown", "/drawdown.csv"):
            assert who.get(f"{PATH}/{made['id']}{path}").status_code == status
        assert who.get(PATH).status_code == status

    def test_another_organization_finds_nothing(self) -> None:
        organization, other = open_books(), open_books()
        made = agreed(organization, "1200", **YEARLY)
        stranger = owner(other)
        for path in ("", "/versions", "/history", "/drawdown", "/drawdown.csv"):
            known = stranger.get(f"{PATH}/{made['id']}{path}")
            unknown = stranger.get(f"{PATH}/{new_id()}{path}")
            assert problem(known)[:2] == problem(unknown)[:2] == (404, "not_found")
        assert stranger.get(PATH).json()["data"] == []
        for name in ("-1", "%00", "../x", "1" * 30, str(organization)):
            assert stranger.get(f"{PATH}/{name}").status_code == 404

    def test_a_key_without_the_scope_reads_nothing(self) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY)
        assert caller(organization, "spend:read").get(f"{PATH}/{made['id']}").status_code == 403


class TestActivating:
    def test_invoices_and_grants_the_first_window(self) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY, fees=[FEE])
        assert (made["status"], made["number"]) == ("active", 1)
        assert owed(organization) == [("commitment", "1200.00"), ("recurring", "500.00")]
        assert owner(organization).get("/v1/balance").json()["available"] == "1200"

    def test_is_repeated_under_its_key(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        first = act(made, "activate", key="go")
        again = act(made, "activate", key="go")
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert owed(organization) == [("commitment", "1200.00")]
        assert problem(act(made, "activate"))[:2] == (409, "invalid_transition")
        assert problem(platform().post(f"{PATH}/{made['id']}/activate"))[:2] == (
            400,
            "idempotency_key_required",
        )
        assert owed(organization) == [("commitment", "1200.00")]

    def test_waits_for_a_term_to_come(self) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY, offset=2)
        assert (owed(organization), made["next_at"]) == ([], made["starts_at"])
        pass_days(organization, 2)
        assert owed(organization) == [("commitment", "1200.00")]

    @pytest.mark.parametrize(("offset", "days"), [(-36, 365), (-20, 20)])
    def test_refuses_a_term_that_is_over_or_began_long_ago(self, offset: int, days: int) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY, offset=offset, days=days)
        assert problem(act(made, "activate")) == (400, "invalid_period", ["/term/start"])
        assert (owed(organization), shown(made)["status"]) == ([], "draft")

    def test_refuses_a_second_contract_for_the_same_time(self) -> None:
        organization = open_books()
        agreed(organization, "1200", **YEARLY, days=100)
        second = drafted(organization, "1", **YEARLY, offset=99)
        assert problem(act(second, "activate"))[:2] == (409, "invalid_transition")
        after = drafted(organization, "1", **YEARLY, offset=100)
        assert acted(after, "activate")["status"] == "active"

    def test_refuses_a_model_that_the_book_does_not_have(self) -> None:
        organization = open_books()
        price = {"provider": "acme", "model": "no-such-model", "components": {"input": "1", "output": "1"}}
        made = drafted(organization, "1200", **YEARLY, prices=[{"markup_percent": "5"}, price])
        status, code, pointers = problem(act(made, "activate"))
        assert (status, code, pointers) == (422, "price_unknown", ["/definition/prices/1"])
        # the markup before it was not published either
        assert [event[0] for event in events_of(organization)][-1] == "contract.drafted"

    def test_refuses_a_closed_organization(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        assert problem(act(made, "activate"))[0] in (403, 409)
        assert owed(organization) == []


class TestAmending:
    def test_makes_a_version_that_holds_from_its_day_on(self) -> None:
        organization = open_books()
        made = agreed(organization, "3650", commitment=commitment("prepaid", "segment"))
        day = today_of(organization) + 10 * DAY
        definition = {**made["definition"], "net_days": 60}
        definition["ramp"] = [{**definition["ramp"][0], "amount": "7300"}]
        amended = acted(made, "amend", {"definition": definition, "effective_on": str(day)})
        assert (amended["number"], amended["versions"], amended["net_days"]) == (1, 2, 30)
        pass_days(organization, 10)
        now = shown(made)
        assert (now["number"], now["net_days"]) == (2, 60)
        # 10 of 365 days at 3,650 and 355 at 7,300
        assert owed(organization) == [("commitment", "3650.00"), ("commitment", "3550.00")]
        versions = owner(organization).get(f"{PATH}/{made['id']}/versions").json()["data"]
        assert [(each["number"], each["definition"]["net_days"]) for each in versions] == [(2, 60), (1, 30)]

    def test_credits_only_what_is_unused(self) -> None:
        organization = open_books()
        made = agreed(organization, "3650", commitment=commitment("prepaid", "segment"))
        definition = {**made["definition"], "ramp": [{**made["definition"]["ramp"][0], "amount": "0.01"}]}
        acted(made, "amend", {"definition": definition})
        pass_days(organization, 1)
        ((kind, first), (again, back)) = owed(organization)
        assert (kind, first, again) == ("commitment", "3650.00", "commitment")
        assert back == "-3639.99"  # one day of the old price is left
        assert owner(organization).get("/v1/balance").json()["available"] == "10.01"

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"currency": "EUR"}, "/definition/currency"),
            ({"commitment": commitment("postpaid", "year")}, "/definition/commitment/kind"),
            ({"commitment": commitment("prepaid", "month")}, "/definition/commitment/window"),
        ],
    )
    def test_keeps_what_windows_are_cut_by(self, change: dict[str, Any], pointer: str) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY)
        answer = act(made, "amend", {"definition": {**made["definition"], **change}})
        assert answer.status_code in (400, 422)
        assert pointer in problem(answer)[2]
        assert shown(made)["versions"] == 1

    def test_refuses_a_day_that_has_begun_and_a_state_that_is_not_active(self) -> None:
        organization = open_books()
        made = drafted(organization, "1200", **YEARLY)
        body = {"definition": made["definition"]}
        assert problem(act(made, "amend", body))[:2] == (409, "invalid_transition")
        acted(made, "activate")
        today = {**body, "effective_on": str(today_of(organization))}
        assert problem(act(made, "amend", today)) == (400, "invalid_period", ["/effective_on"])
        after = {**body, "effective_on": str(today_of(organization) + 400 * DAY)}
        assert problem(act(made, "amend", after)) == (400, "invalid_period", ["/effective_on"])
        assert shown(made)["versions"] == 1


class TestTerminating:
    def test_at_a_moment_to_come_waits_for_it(self) -> None:
        organization = open_books()
        made = agreed(organization, "365", commitment=commitment("postpaid", "segment"))
        at = now_of(organization) + 5 * DAY
        waiting = acted(made, "terminate", {"at": at.isoformat(), "commitment": "waive"})
        assert (waiting["status"], waiting["termination"]) == ("active", "waive")
        again = act(made, "terminate", {})
        assert problem(again)[:2] == (409, "invalid_transition")
        amending = act(made, "amend", {"definition": made["definition"]})
        assert problem(amending)[:2] == (409, "invalid_transition")
        pass_days(organization, 9)
        assert shown(made)["status"] == "terminated"
        assert (shown(made)["next_at"], owed(organization)) == (None, [])

    @pytest.mark.parametrize(
        ("mode", "expected"), [("full", "365.00"), ("prorated", "11.00"), ("waive", None)]
    )
    def test_owes_what_is_still_committed(self, mode: str, expected: str | None) -> None:
        organization = open_books()
        made = agreed(organization, "365", commitment=commitment("postpaid", "segment"))
        pass_days(organization, 10)  # the eleventh day is used, too
        acted(made, "terminate", {"commitment": mode})
        assert owed(organization) == []
        pass_days(organization, 4)
        assert owed(organization) == ([] if expected is None else [("true_up", expected)])

    def test_credits_fees_and_the_unused_advance(self) -> None:
        organization = open_books()
        fee = {**FEE, "amount": "365", "interval": {"unit": "year"}}
        made = agreed(organization, "365", commitment=commitment("prepaid", "segment"), fees=[fee])
        pass_days(organization, 10)
        acted(made, "terminate", {"commitment": "prorated"})
        pass_days(organization, 4)
        assert owed(organization) == [
            ("commitment", "365.00"),
            ("recurring", "365.00"),
            ("proration_credit", "-354.00"),
            ("commitment", "-354.00"),
        ]
        assert owner(organization).get("/v1/balance").json()["available"] == "0"

    @pytest.mark.parametrize("days", [-1, 400])
    def test_refuses_a_moment_outside_the_term(self, days: int) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY)
        at = (now_of(organization) + timedelta(days=days)).isoformat()
        assert problem(act(made, "terminate", {"at": at})) == (400, "invalid_period", ["/at"])
        assert shown(made)["terminates_at"] is None


class TestHistory:
    def test_tells_every_event_with_its_items(self) -> None:
        organization = open_books()
        made = agreed(organization, "1200", **YEARLY)
        events = owner(organization).get(f"{PATH}/{made['id']}/history").json()["data"]
        assert [event["type"] for event in events] == [
            "contract.window_opened",
            "contract.activated",
            "contract.drafted",
        ]
        assert [(item["kind"], item["amount"]) for item in events[0]["items"]] == [("commitment", "1200")]
