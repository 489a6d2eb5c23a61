"""An organization that is closed: its subscriptions and contracts end then, are settled, and the last invoice comes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.operations.simulating import simulate
from billing.queries.standing import due_customers
from events.rebuilding.run import rebuild
from orgs.operations import closing
from orgs.operations.organizations import close_organization
from tests.builders.billing import Billed, billed
from tests.builders.books import balances, rows
from tests.builders.contracts import agreed, commitment, drafted
from tests.builders.gate import body_of, units
from tests.builders.orgs import AUTHOR, events_of, platform, unique, write
from tests.builders.simulated import decide
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, now_of, sell, subscribe

DAY = timedelta(days=1)
GONE = ("customer_credit", "deferred_revenue", "unbilled_receivable")


def customer() -> Billed:
    return billed(credit_limit=units("1000000"))


def close(made: Billed) -> datetime:
    """Close it as ever; the moment."""
    write(lambda cur: close_organization(cur, organization=made.id, author=AUTHOR))
    return closed_at(made)


def close_as_before(made: Billed, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Close it as it was done when nothing ended with an organization."""
    with monkeypatch.context() as patched:
        patched.setattr(closing, "_endings", {})
        return close(made)


def closed_at(made: Billed) -> datetime:
    (at,) = write(
        lambda cur: cur.execute(
            "SELECT occurred_at FROM events WHERE organization = %s AND type = 'organization.closed'",
            (made.id,),
        ).fetchone()
    )
    found: datetime = at
    return found


def seen(contract: dict[str, Any]) -> dict[str, Any]:
    """A contract as the platform reads it."""
    return body_of(platform().get(f"/v1/contracts/{contract['id']}"), 200)


def net(made: Billed) -> int:
    return sum(units(one["net"]) for one in made.invoices() if one["status"] != "void")


def lived_on(made: Billed, days: float) -> None:
    simulate(organization=made.id, until=now_of(made.id) + days * DAY)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class TestAContract:
    @pytest.mark.parametrize(("used", "owed"), [("30", "100"), ("120", "120")])
    def test_is_settled_after_its_organization_is_closed(self, used: str, owed: str) -> None:
        made = customer()
        contract = agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"))
        made.use(used)
        lived_on(made, 40)
        at = close(made)
        found = seen(contract)
        assert (found["status"], moment(found["ended_at"])) == ("terminated", at)
        lived_on(made, 70)
        assert net(made) == units(owed)
        assert [name for name in GONE if name in balances(made.id)] == []
        assert seen(contract)["next_at"] is None
        made.assert_sound()
        assert rebuild().differences == []

    def test_opens_no_window_and_charges_no_fee_after_the_closing(self) -> None:
        made = customer()
        each = {"key": "support", "name": "Support", "amount": "7", "interval": {"unit": "month"}}
        agreed(made.id, "10", days=300, commitment=commitment("postpaid", "month"), fees=[each])
        lived_on(made, 10)
        close(made)
        lived_on(made, 100)
        assert net(made) == units("17")
        made.assert_sound()

    def test_that_was_to_end_otherwise_ends_as_it_was_arranged(self) -> None:
        made = customer()
        contract = agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"))
        made.use("3")
        later = (now_of(made.id) + 20 * DAY).isoformat()
        acted_on = platform().post(
            f"/v1/contracts/{contract['id']}/terminate", {"commitment": "waive", "at": later}, key=unique()
        )
        assert acted_on.status_code == 200
        close(made)
        lived_on(made, 60)
        assert net(made) == units("3")

    def test_draws_what_its_organizations_subscription_is_rated_later(self) -> None:
        """Use of the last days is drawn from the commitment although it is put on an invoice after the closing."""
        made = customer()
        agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"))
        made.use("99")
        lived_on(made, 2)
        made.use("0.5")
        close(made)
        lived_on(made, 40)
        assert net(made) == units("100")

    def test_that_is_a_draft_is_dropped(self) -> None:
        made = customer()
        contract = drafted(made.id, "100", days=30)
        close(made)
        assert seen(contract)["status"] == "terminated"
        assert made.run() == 0
        assert made.invoices() == []

    def test_closing_again_changes_nothing(self) -> None:
        made = customer()
        agreed(made.id, "100", days=300, commitment=commitment("postpaid", "segment"))
        close(made)
        before = events_of(made.id)
        write(lambda cur: close_organization(cur, organization=made.id, author=AUTHOR))
        assert events_of(made.id) == before


class TestAnOrganizationThatWasClosedBefore:
    def test_has_its_agreements_ended_as_of_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever was agreed and went on is caught up by the run; nothing of later is charged."""
        early, before = customer(), customer()
        for made in (early, before):
            subscribe(decide(made), sell(fee("30", timing="arrears")))
            agreed(made.id, "100", days=300, commitment=commitment("postpaid", "month"))
            made.use("30")
            lived_on(made, 10)
        close(early)
        at = close_as_before(before, monkeypatch)
        before.customer.pass_time(days=100)
        assert before.id in write(lambda cur: due_customers(cur, limit=10_000, claim=DAY, longest=DAY))
        before.run()
        lived_on(early, 100)
        assert net(before) == net(early)
        assert {one["status"] for one in subscriptions(before)} == {"canceled"}
        assert all(one["ended_at"] == at for one in subscriptions(before))
        assert before.run() == 0
        before.assert_sound()
        assert rebuild().differences == []

    def test_has_a_paused_subscription_ended_at_the_end_of_its_cycle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = customer()
        who = decide(made)
        paused = subscribe(who, sell(fee("30")))
        acted(who, paused, "pause")
        made.run()
        close_as_before(made, monkeypatch)
        made.pass_months(2)
        made.run()
        assert {one["status"] for one in subscriptions(made)} == {"canceled"}


def subscriptions(made: Billed) -> list[dict[str, Any]]:
    found = rows("SELECT status, ended_at FROM subscriptions WHERE organization = %s", made.id)
    return [{"status": status, "ended_at": at} for status, at in found]
