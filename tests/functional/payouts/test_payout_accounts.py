"""Where partners are paid: onboarding at the processor, and what its events change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from payouts.operations.paying.reconciling import There, list_here, reconcile
from tests.builders.deliveries import post
from tests.builders.marketplace import make_seller
from tests.builders.orgs import platform, unique, write
from tests.builders.payouts import Earner, partner
from tests.builders.processor import header
from tests.builders.stripe import CONNECT_SECRET, Simulator
from tests.database import Session
from tests.functional.billing.test_admin import staff
from tests.functional.payouts.test_payouts_admin import acts
from tests.invariants import Still
from webhooks.operations.inbound.catching_up import catch_up
from webhooks.operations.inbound.processing import process_due

ACCOUNT = {
    "country": "US",
    "return_url": "https://example.com/done",
    "refresh_url": "https://example.com/again",
}
CONNECT = "/webhooks/stripe/connect/"


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def tell(made: Earner) -> None:
    """Deliver every event of the account as Stripe does, in no order, twice."""
    options: Any = {"stripe_account": made.account}
    events = made.stripe.sdk().v1.events.list({"limit": 100}, options).auto_paging_iter()
    for event in [*events] * 2:
        body = json.dumps({**json.loads(str(event)), "account": made.account}).encode()
        assert post(body, header(body, CONNECT_SECRET), CONNECT).status_code == 200
    while process_due():
        pass


class TestOnboarding:
    def test_makes_one_account_and_gives_an_address(self, stripe_simulator: Simulator) -> None:
        seller = make_seller()

        first, again = (seller.api.post("/v1/partner/account", ACCOUNT, key=unique()) for _ in range(2))

        assert (first.status_code, first.json()["status"]) == (201, "onboarding")
        assert first.json()["account"] == again.json()["account"]
        assert first.json()["onboarding_url"].startswith("https://connect.stripe.com/")
        (account,) = [
            one
            for one in stripe_simulator.sdk().v1.accounts.list({"limit": 100}).auto_paging_iter()
            if one.metadata["organization"] == str(seller.id)
        ]
        assert account.settings.payouts.schedule.interval == "manual"
        assert seller.api.get("/v1/partner/account").json()["onboarding_url"] is None

    def test_ends_when_the_processor_says_so(self, stripe_simulator: Simulator) -> None:
        seller = make_seller()
        account = seller.api.post("/v1/partner/account", ACCOUNT, key=unique()).json()["account"]
        assert problem(seller.api.post("/v1/partner/payouts", {}, key=unique())) == (
            409,
            "payout_account_missing",
        )
        given: Any = {"external_account": "btok_us"}
        stripe_simulator.sdk().v1.accounts.external_accounts.create(account, given)
        stripe_simulator.decide(account=account, to="onboarded")

        found = seller.api.post("/v1/partner/account/refresh").json()

        assert (found["status"], found["requirements"]) == ("active", [])
        assert found["destination"].startswith("ba_")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"country": "XX"},
            {"country": "us"},
            {"return_url": "http://example.com"},
            {"return_url": "javascript:alert(1)"},
            {"refresh_url": "https://user@example.com"},
            {"refresh_url": "https://"},
            {"extra": 1},
        ],
        ids=str,
    )
    def test_refuses_what_makes_no_sense(self, stripe_simulator: Simulator, wrong: dict[str, Any]) -> None:
        seller = make_seller()
        with Still(seller.id):
            assert seller.api.post("/v1/partner/account", {**ACCOUNT, **wrong}).status_code in (400, 422)

    def test_of_no_partner_is_not_found(self, stripe_simulator: Simulator) -> None:
        other = make_seller()
        answer = other.api.get(f"/v1/partner/account?organization={make_seller().id}")
        assert answer.status_code == 404


@pytest.fixture
def connected(stripe_simulator: Simulator, settings: Any) -> Simulator:
    settings.STRIPE_CONNECT_WEBHOOK_SECRETS = (CONNECT_SECRET,)
    process_due()
    return stripe_simulator


class TestAnEventOfAnAccount:
    def test_brings_its_payout_to_the_bank(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        made.asked()
        made.send()
        connected.advance(3 * 86_400)

        tell(made)

        assert (made.state(), made.money()) == ("paid", {"processor_clearing": 5_000})

    def test_says_that_a_paid_payout_came_back(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        made.paid()
        connected.decide(payout=made.payout().payout, on=made.account, to="failed")

        tell(made)

        assert (made.state(), made.money()["partner_payable"]) == ("failed", 5_000)

    def test_of_a_restriction_and_its_end_is_followed(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        connected.decide(account=made.account, to="restricted")
        tell(made)
        assert made.partner().status == "restricted"
        assert made.ask().json()["hold"]["code"] == "account_not_ready"
        connected.decide(account=made.account, to="onboarded")
        tell(made)
        assert (made.partner().status, made.state()) == ("active", "approved")

    def test_that_cuts_us_off_stops_its_payouts(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        body = json.dumps(
            {
                "id": f"evt_{unique()}".replace("-", ""), "object": "event", "type": "account.application.deauthorized",
                "created": int(datetime.now(UTC).timestamp()), "api_version": "2026-10-28.endive", "livemode": False,
                "account": made.account, "data": {"object": {"id": "ca_1", "object": "application"}},
                "request": None,
            }
        ).encode()  # fmt: skip
        connected.decide(account=made.account, to="deauthorized")
        assert post(body, header(body, CONNECT_SECRET), CONNECT).status_code == 200
        while process_due():
            pass
        assert (made.partner().status, made.partner().disabled_reason) == ("restricted", "deauthorized")
        catch_up()  # nobody else is kept waiting by it

    def test_of_a_payout_that_uses_our_name_pays_nothing(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        payout = made.asked()
        made.send()
        connected.fund(5_000, account=made.account)
        given: Any = {"amount": 5_000, "currency": "usd", "metadata": {"payout": str(payout)}}
        options: Any = {"stripe_account": made.account}
        other = connected.sdk().v1.payouts.create(given, options)
        connected.decide(payout=other.id, on=made.account, to="paid")

        tell(made)

        assert made.state() == "processing"


@contextmanager
def other_amounts(session: Session, made: Earner) -> Iterator[None]:
    """Meanwhile our payouts say a cent more than the processor's."""
    statement = "UPDATE payouts SET amount = amount + %s WHERE organization = %s"
    with psycopg.connect(session.databases.superuser_url(session.name), autocommit=True) as connection:
        connection.execute(statement, (10**6, made.id))
        try:
            yield
        finally:
            connection.execute(statement, (-(10**6), made.id))


class TestReconciliation:
    def window(self) -> tuple[datetime, datetime]:
        return datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) + timedelta(days=9)

    def test_applies_what_no_event_told(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        made.asked()
        made.send()
        connected.advance(3 * 86_400)

        reconcile(*self.window())

        assert made.state() == "paid"
        found = reconcile(*self.window())
        assert [row for row in found.payouts if row[0] == made.account] == []

    def findings(self, made: Earner) -> list[str]:
        found = platform().get(f"/v1/findings?organization={made.id}").json()["data"]
        return sorted(one["kind"] for one in found)

    def test_finds_an_amount_that_is_not_ours(self, connected: Simulator, test_session: Session) -> None:
        made = partner(connected, cents=5_000)
        made.paid()
        (transfer,), (payout,) = made.transfers(), made.payouts_there()
        with other_amounts(test_session, made):
            found = reconcile(*self.window())
        assert [view.id for view in found.transfers] == [transfer.id]
        assert [view.id for account, view in found.payouts if account == made.account] == [payout.id]
        assert self.findings(made) == ["payout_differs", "transfer_differs"]

    def test_looks_for_what_was_sent_days_after_it_was_requested(self, connected: Simulator) -> None:
        made = partner(connected, cents=150_000)
        made.asked()
        connected.advance(6 * 86_400)
        _, client = staff("view_payout", "change_payout")
        acts(client, "approve", made.payout().id)
        made.send()
        sent = made.payout().sent_at
        assert sent is not None and sent > made.payout().requested_at + timedelta(days=5)
        window = sent - timedelta(hours=1), sent + timedelta(hours=1)
        here = write(lambda cur: list_here(cur, There(), *window))
        assert made.payout().id in [one.id for one in here]

    def test_of_a_payout_on_the_edge_of_the_window_misses_nothing(self, connected: Simulator) -> None:
        made = partner(connected, cents=5_000)
        made.asked()
        made.send(times=1)
        connected.advance(10)
        made.send()
        transferred = made.payout().sent_at
        assert transferred is not None
        (payout,) = made.payouts_there()
        between = transferred + timedelta(seconds=1)
        assert between.timestamp() <= payout.created

        for window in ((between - timedelta(days=1), between), (between, between + timedelta(days=1))):
            found = reconcile(*window)
            assert [row.id for _, row in found.missing if row.organization == made.id] == []

    def test_finds_a_transfer_that_we_do_not_know(self, connected: Simulator) -> None:
        made = partner(connected)
        given: Any = {
            "amount": 700, "currency": "usd", "destination": made.account, "metadata": {"payout": str(made.id)},
        }  # fmt: skip
        transfer = connected.sdk().v1.transfers.create(given)
        for _ in range(2):
            reconcile(*self.window())
        answer = platform().get(f"/v1/findings?kind=transfer_unknown&organization={made.id}").json()["data"]
        assert [one["subject"] for one in answer] == [f"transfer:{transfer.id}"]
