"""The books through the API: entries, accounts, statements, trial balances; by whom they may be read, and of whom."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from common.ids import new_id
from ledger.api.urls import urlpatterns
from ledger.operations.posting import NewEntry, post_entries
from tests.builders.books import give, one, open_books, rows
from tests.builders.orgs import AUTHOR, Caller, caller, platform, unique, write
from tests.invariants import Still, assert_sound

AUDIT, SPEND = "audit:read", "spend:read"
# Who may read what, besides admin; what is not named here, auditors only.
SCOPES = {
    "balance": (SPEND,),
    "funding": (SPEND,),
    "credits/grants": (SPEND,),
    "credits/grants/<str:name>": (SPEND,),
    "entries": (AUDIT, SPEND),
    "entries/<str:name>": (AUDIT, SPEND),
}


def post(
    organization: UUID, amount: int, *, effective_at: datetime | None = None, kind: str = "correction"
) -> UUID:
    """An entry of so many units: revenue against a receivable."""
    new = NewEntry(
        kind=kind, key=unique("books"), source=f"{kind}:1", lines=[("revenue", amount), ("receivable", -amount)],
        effective_at=effective_at,
    )  # fmt: skip
    return write(lambda cur: post_entries(cur, organization=organization, entries=[new], author=AUTHOR))[0]


def account(organization: UUID, kind: str) -> UUID:
    found: UUID = one("SELECT id FROM accounts WHERE organization = %s AND kind = %s", organization, kind)
    return found


def at(day: int) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02}T12:00:00+00:00")


def body(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def organization() -> UUID:
    return open_books()


@pytest.fixture
def auditor(organization: UUID) -> Caller:
    return caller(organization, AUDIT)


class TestEntries:
    def test_show_source_actor_reason_key_and_lines(self, organization: UUID, auditor: Caller) -> None:
        grant = give(organization, "12.5", reason="Top-up by bank transfer")
        (shown,) = body(auditor.get("/v1/entries"))["data"]
        assert (shown["kind"], shown["source"], shown["actor"]) == ("grant", f"grant:{grant}", "system:test")
        assert shown["reason"] == "Top-up by bank transfer"
        assert shown["idempotency_key"]
        assert (shown["reverses"], shown["reversed_by"]) == (None, None)
        assert [(line["kind"], line["amount"], line["currency"]) for line in shown["lines"]] == [
            ("customer_credit", "12.5", "USD"), ("cash", "-12.5", "USD"),
        ]  # fmt: skip
        assert body(auditor.get(f"/v1/entries/{shown['id']}")) == shown

    def test_are_found_by_kind_source_key_account_and_time(self, organization: UUID, auditor: Caller) -> None:
        give(organization, "1")
        march = [post(organization, 1, effective_at=at(day)) for day in (1, 2, 3)]

        def found(**query: str) -> list[str]:
            return [item["id"] for item in body(auditor.get("/v1/entries", **query))["data"]]

        key = body(auditor.get(f"/v1/entries/{march[1]}"))["idempotency_key"]
        assert found(kind="correction") == [str(entry) for entry in reversed(march)]
        assert found(source="correction:1", limit="2") == [str(march[2]), str(march[1])]
        assert found(idempotency_key=key) == [str(march[1])]
        assert found(**{"from": "2026-03-02T12:00:00Z", "to": "2026-03-03T12:00:00Z"}) == [str(march[1])]
        assert found(account=str(account(organization, "revenue"))) == [
            str(entry) for entry in reversed(march)
        ]
        assert len(found(account=str(account(organization, "cash")))) == 1
        assert found(kind="nothing") == []
        assert len(found()) == 4

    def test_are_paged_newest_first_without_gap_or_repetition(
        self, organization: UUID, auditor: Caller
    ) -> None:
        made = [str(post(organization, 1)) for _ in range(5)]
        seen: list[str] = []
        query = {"limit": "2"}
        while True:
            page = body(auditor.get("/v1/entries", **query))
            seen += [item["id"] for item in page["data"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == list(reversed(made))


class TestGrants:
    def test_are_shown_the_same_when_made_alone_in_the_list_and_beside_the_balance(
        self, organization: UUID
    ) -> None:
        new = {
            "organization": str(organization),
            "amount": "12.5",
            "currency": "USD",
            "kind": "paid",
            "reason": "Top-up",
        }
        made = body(platform().post("/v1/credits/grants", new, key=unique()), 201)
        assert {name: made[name] for name in new} == new
        assert (made["remaining"], made["held"], made["scope"], made["priority"]) == (
            "12.5",
            "0",
            "organization",
            0,
        )
        who = caller(organization, SPEND)
        assert body(who.get(f"/v1/credits/grants/{made['id']}")) == made
        assert body(who.get("/v1/credits/grants"))["data"] == [made]
        assert body(who.get("/v1/balance"))["grants"] == [made]


class TestAccounts:
    def test_are_the_whole_chart_with_balances(self, organization: UUID, auditor: Caller) -> None:
        give(organization, "3")
        post(organization, 7)
        shown = body(auditor.get("/v1/accounts", limit="100"))["data"]
        assert len(shown) == 22
        balances = {item["kind"]: item["posted"] for item in shown if item["posted"] != "0"}
        assert balances == {
            "customer_credit": "3", "cash": "-3", "revenue": "0.00000007", "receivable": "-0.00000007",
        }  # fmt: skip

    def test_have_a_balance_as_of_any_time_on_both_axes(self, organization: UUID, auditor: Caller) -> None:
        place = f"/v1/accounts/{account(organization, 'revenue')}"

        def posted(**query: str) -> str:
            shown: str = body(auditor.get(place, **query))["posted"]
            return shown

        post(organization, 1, effective_at=at(10))
        first = one("SELECT clock_timestamp()").isoformat()
        post(organization, 20, effective_at=at(5))  # known later, in effect earlier
        second = one("SELECT clock_timestamp()").isoformat()
        post(organization, 300, effective_at=at(20))
        assert posted() == "0.00000321"
        assert posted(as_of="2026-03-04T00:00:00Z") == "0"
        assert posted(as_of="2026-03-05T12:00:00Z") == "0.0000002"
        assert posted(as_of="2026-03-05T11:59:59.999999Z") == "0"
        assert posted(as_of="2026-03-10T12:00:00Z") == "0.00000021"
        assert posted(recorded_as_of=first) == "0.00000001"
        assert posted(recorded_as_of=second) == "0.00000021"
        assert posted(as_of="2026-03-05T12:00:00Z", recorded_as_of=first) == "0"
        assert posted(as_of="2026-03-05T12:00:00Z", recorded_as_of=second) == "0.0000002"


class TestAStatement:
    def test_has_an_opening_every_line_and_a_closing_that_is_the_next_opening(
        self, organization: UUID, auditor: Caller
    ) -> None:
        place = f"/v1/accounts/{account(organization, 'revenue')}/statement"
        for day, amount in ((1, 1), (2, 20), (3, 300), (4, 4_000)):
            post(organization, amount, effective_at=at(day))

        def read(start: int, end: int, **query: str) -> dict[str, Any]:
            days = {"from": f"2026-03-{start:02}T12:00:00Z", "to": f"2026-03-{end:02}T12:00:00Z"}
            return body(auditor.get(place, **days, **query))

        march = read(2, 4)
        assert (march["opening"], march["closing"]) == ("0.00000001", "0.00000321")
        assert [(line["amount"], line["balance"]) for line in march["data"]] == [
            ("0.0000002", "0.00000021"), ("0.000003", "0.00000321"),
        ]  # fmt: skip
        assert read(4, 5)["opening"] == march["closing"]
        assert read(4, 5)["closing"] == "0.00004321"
        assert read(2, 4) == march

    def test_is_paged_with_running_balances(self, organization: UUID, auditor: Caller) -> None:
        place = f"/v1/accounts/{account(organization, 'revenue')}/statement"
        for _ in range(5):
            post(organization, 1, effective_at=at(1))  # all at one instant
        query = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "limit": "2"}
        seen = []
        while True:
            page = body(auditor.get(place, **query))
            assert (page["opening"], page["closing"]) == ("0", "0.00000005")
            seen += [line["balance"] for line in page["data"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == [f"0.0000000{n}" for n in (1, 2, 3, 4, 5)]

    def test_goes_by_when_entries_were_recorded_if_asked(self, organization: UUID, auditor: Caller) -> None:
        place = f"/v1/accounts/{account(organization, 'revenue')}/statement"
        start = one("SELECT clock_timestamp()").isoformat()
        post(organization, 1, effective_at=at(1))
        end = one("SELECT clock_timestamp() + interval '1 second'").isoformat()
        recorded = body(auditor.get(place, **{"from": start, "to": end, "axis": "recorded"}))
        assert len(recorded["data"]) == 1
        assert body(auditor.get(place, **{"from": start, "to": end}))["data"] == []


class TestATrialBalance:
    def test_has_equal_debits_and_credits(self, organization: UUID, auditor: Caller) -> None:
        give(organization, "3")
        post(organization, 7, effective_at=at(1))
        lines = body(auditor.get("/v1/trial-balance"))["data"]
        assert {line["kind"]: (line["debits"], line["credits"]) for line in lines} == {
            "customer_credit": ("0", "3"), "cash": ("-3", "0"), "revenue": ("0", "0.00000007"),
            "receivable": ("-0.00000007", "0"),
        }  # fmt: skip
        early = body(auditor.get("/v1/trial-balance", as_of="2026-03-02T00:00:00Z"))["data"]
        assert {line["kind"] for line in early} == {"revenue", "receivable"}


def reads(organization: UUID) -> dict[str, Callable[[Caller], Any]]:
    """Every address that reads an organization's books."""
    entry, grant = post(organization, 1), give(organization, "1")
    name = account(organization, "cash")
    days = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    return {
        "balance": lambda who: who.get("/v1/balance"),
        "funding": lambda who: who.get("/v1/funding"),
        "credits/grants": lambda who: who.get("/v1/credits/grants"),
        "credits/grants/<str:name>": lambda who: who.get(f"/v1/credits/grants/{grant}"),
        "entries": lambda who: who.get("/v1/entries"),
        "entries/<str:name>": lambda who: who.get(f"/v1/entries/{entry}"),
        "accounts": lambda who: who.get("/v1/accounts"),
        "accounts/<str:name>": lambda who: who.get(f"/v1/accounts/{name}"),
        "accounts/<str:name>/statement": lambda who: who.get(f"/v1/accounts/{name}/statement", **days),
        "trial-balance": lambda who: who.get("/v1/trial-balance"),
        "adjustments": lambda who: who.get("/v1/adjustments"),
        "adjustments/<str:name>": lambda who: who.get(f"/v1/adjustments/{_proposed(organization)}"),
    }


def writes(organization: UUID) -> dict[str, Callable[[Caller], Any]]:
    """Every address that moves an organization's credit."""
    entry, grant, adjustment = post(organization, 1), give(organization, "1"), _proposed(organization)
    whose = {"organization": str(organization), "amount": "1", "currency": "USD", "reason": "x"}
    adjust = {**whose, "direction": "credit", "contra": "cash"}
    reason = {"reason": "x"}
    return {
        "credits/grants": lambda who: who.post("/v1/credits/grants", {**whose, "kind": "paid"}, key=unique()),
        "credits/grants/<str:name>/refund": lambda who: who.post(
            f"/v1/credits/grants/{grant}/refund", {"amount": "1", **reason}, key=unique()
        ),
        "credits/clawbacks": lambda who: who.post(
            "/v1/credits/clawbacks", {**whose, "source": unique()}, key=unique()
        ),
        "entries/<str:name>/reverse": lambda who: who.post(f"/v1/entries/{entry}/reverse", reason, key=unique()),
        "adjustments": lambda who: who.post("/v1/adjustments", adjust, key=unique()),
        "adjustments/<str:name>/approve": lambda who: who.post(
            f"/v1/adjustments/{adjustment}/approve", key=unique()
        ),
        "adjustments/<str:name>/reject": lambda who: who.post(
            f"/v1/adjustments/{adjustment}/reject", reason, key=unique()
        ),
    }  # fmt: skip


def _proposed(organization: UUID) -> str:
    new = {
        "organization": str(organization), "direction": "credit", "amount": "501", "currency": "USD", "contra": "cash",
        "reason": "x",
    }  # fmt: skip
    made: str = body(platform().post("/v1/adjustments", new, key=unique()), 201)["id"]
    return made


def without_request(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    found.pop("request_id", None)
    return found


class TestPermissions:
    def test_moving_credit_is_for_the_platform_only(self, organization: UUID) -> None:
        for name, call in writes(organization).items():
            keys = [caller(organization), caller(organization, AUDIT, "billing:write", "payouts:write")]
            with Still(organization):
                for who in keys:
                    answer = call(who)
                    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), name

    def test_the_books_are_read_with_a_read_scope_only(self, organization: UUID) -> None:
        keys = {
            scope: caller(organization, scope)
            for scope in ("admin", AUDIT, SPEND, "webhooks:read", "billing:read")
        }
        for name, call in reads(organization).items():
            allowed = {scope for scope, who in keys.items() if call(who).status_code == 200}
            assert allowed == {"admin", *SCOPES.get(name, (AUDIT,))}, name

    def test_nothing_is_read_or_moved_without_a_key(self, organization: UUID) -> None:
        for call in (*reads(organization).values(), *writes(organization).values()):
            assert call(Caller("cfk_nobody")).status_code == 401


class TestTenants:
    """S109: another organization's object is answered as an unknown one."""

    def test_lists_hold_nothing_of_others(self, organization: UUID) -> None:
        other = open_books()
        calls = reads(organization)
        stranger = caller(other)
        assert body(calls["entries"](stranger))["data"] == []
        assert body(calls["credits/grants"](stranger))["data"] == []
        assert body(calls["adjustments"](stranger))["data"] == []
        assert body(calls["trial-balance"](stranger))["data"] == []
        assert body(calls["balance"](stranger))["posted"] == "0"
        own = {str(name) for (name,) in _ids(other)}
        assert {item["id"] for item in body(stranger.get("/v1/accounts", limit="100"))["data"]} == own

    def test_an_object_of_others_is_an_unknown_one(self, organization: UUID) -> None:
        stranger = caller(open_books())
        for name, call in reads(organization).items():
            if "<" in name:
                path = f"/v1/{name.replace('<str:name>', str(new_id()))}"
                query = (
                    {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
                    if "statement" in name
                    else {}
                )
                foreign, unknown = call(stranger), stranger.get(path, **query)
                assert foreign.status_code == unknown.status_code == 404, name
                assert without_request(foreign) == without_request(unknown)

    def test_another_organization_named_beside_is_an_unknown_one(self, organization: UUID) -> None:
        stranger = caller(open_books())
        for path in (
            "balance",
            "funding",
            "credits/grants",
            "entries",
            "accounts",
            "trial-balance",
            "adjustments",
        ):
            foreign = stranger.get(f"/v1/{path}", organization=str(organization))
            unknown = stranger.get(f"/v1/{path}", organization=str(new_id()))
            assert foreign.status_code == unknown.status_code == 404
            assert without_request(foreign) == without_request(unknown)

    def test_an_account_of_others_finds_no_entries(self, organization: UUID, auditor: Caller) -> None:
        other = open_books()
        post(organization, 1)
        post(other, 1)
        assert body(auditor.get("/v1/entries", account=str(account(other, "revenue"))))["data"] == []

    def test_every_address_is_in_these_matrices(self, organization: UUID) -> None:
        tried = {*reads(organization), *writes(organization), "organizations"}
        assert {str(pattern.pattern) for pattern in urlpatterns} == tried
        assert_sound(organization)


def _ids(organization: UUID) -> list[tuple[UUID]]:

    return rows("SELECT id FROM accounts WHERE organization = %s", organization)  # type: ignore[return-value]


class TestTheSourceOfAGrant:
    """What a platform key may say of it."""

    @staticmethod
    def new(organization: UUID, **given: Any) -> dict[str, Any]:
        return {
            "organization": str(organization), "amount": "5", "currency": "USD", "kind": "promotional",
            "reason": "Deal", **given,
        }  # fmt: skip

    @pytest.mark.parametrize("source", ["allowance", "commitment", "credit"])
    def test_is_what_was_asked_for_and_shown_everywhere(self, organization: UUID, source: str) -> None:
        made = body(
            platform().post("/v1/credits/grants", self.new(organization, source=source), key=unique()), 201
        )
        reader = caller(organization, SPEND)
        assert made["source"] == source
        assert body(reader.get(f"/v1/credits/grants/{made['id']}")) == made
        assert body(reader.get("/v1/balance"))["grants"] == [made]
        (shown,) = [one for one in body(reader.get("/v1/funding"))["sources"] if one["grants"]]
        assert (shown["source"], shown["grants"], shown["available"]) == (source, [made], "5")

    def test_is_credit_unless_it_is_said(self, organization: UUID) -> None:
        made = body(platform().post("/v1/credits/grants", self.new(organization), key=unique()), 201)
        assert made["source"] == "credit"

    @pytest.mark.parametrize("source", ["postpaid", "Allowance", "", None, 1, ["credit"]])
    def test_is_one_of_three(self, organization: UUID, source: Any) -> None:
        with Still(organization):
            refused = body(
                platform().post("/v1/credits/grants", self.new(organization, source=source), key=unique()),
                400,
            )
        assert refused["errors"][0]["pointer"] == "/source"

    def test_is_not_an_organizations_own_to_say(self, organization: UUID) -> None:
        own = caller(organization, "admin")
        with Still(organization):
            body(
                own.post("/v1/credits/grants", self.new(organization, source="allowance"), key=unique()), 403
            )

    def test_repeated_under_its_key_is_granted_once(self, organization: UUID) -> None:
        new, key = self.new(organization, source="allowance"), unique()
        first = platform().post("/v1/credits/grants", new, key=key)
        with Still(organization):
            assert platform().post("/v1/credits/grants", new, key=key).content == first.content

    @pytest.mark.parametrize("source", ["allowance", "commitment"])
    def test_keeps_it_from_refunds_clawbacks_and_adjustments(self, organization: UUID, source: str) -> None:
        made = give(organization, "5", source=source)
        give(organization, "1")
        refund = platform().post(
            f"/v1/credits/grants/{made}/refund", {"amount": "1", "reason": "x"}, key=unique()
        )
        assert refund.status_code == 404
        taken = {"organization": str(organization), "amount": "2", "currency": "USD", "reason": "x"}
        down = {**taken, "direction": "debit", "contra": "revenue"}
        assert platform().post("/v1/adjustments", down, key=unique()).status_code == 422
        body(platform().post("/v1/credits/clawbacks", {**taken, "source": unique()}, key=unique()), 201)
        assert one("SELECT remaining FROM credit_grants WHERE id = %s", made) == 5 * 10**8
        assert body(caller(organization, SPEND).get("/v1/balance"))["debt"] == "1"
        assert_sound(organization)
