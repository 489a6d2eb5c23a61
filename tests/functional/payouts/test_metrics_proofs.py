"""Revenue metrics are proven every night, and can be written anew; the staff reads them on a page."""

import secrets
from io import StringIO
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from events.jobs import job
from events.operations.due import run_job
from events.reading import COLUMNS, stored_events
from events.store import Cursor
from events.verifying.run import verify
from payouts.projections.metrics import TABLES, follow
from payouts.queries.metrics.integrity import violations
from tests.builders.billing import billed
from tests.builders.contracts import agreed
from tests.builders.gate import make_customer
from tests.builders.metrics import broken, kept_rows, metric, moved
from tests.builders.orgs import platform, write
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, owner, sell, subscribe

PAGE = "/admin/payouts/revenuemetrics/"
KIND = "revenue_metrics"
MORE_REVENUE = "UPDATE revenue_days SET amount = amount + 1 WHERE organization = %s AND account = 'revenue'"


def customer() -> Any:
    """A customer with subscriptions, a contract and use."""
    made = billed(credit="20")
    who = owner(made.id)
    held = subscribe(who, sell(fee("30")))
    subscribe(who, sell(fee("12")))
    acted(who, held, "cancel", {"when": "now"})
    agreed(made.id, "100")
    made.use("3", "0.5")
    return made


def tampered(statement: str, organization: UUID) -> None:
    """Rows that somebody changed past the code."""
    write(lambda cur: cur.execute(statement, (organization,)))


def findings(organization: UUID) -> list[tuple[str, str]]:
    """The findings of the metrics of a customer, as (status, subject)."""
    rows = platform().get("/v1/findings", organization=str(organization), kind=KIND).json()["data"]
    return sorted((row["status"], row["subject"]) for row in rows)


class TestTheNightlyCheck:
    def test_is_a_job_of_every_night(self) -> None:
        assert job("payouts.check_metrics").every_seconds == 86_400

    def test_opens_one_finding_for_what_does_not_hold_and_settles_it_when_it_holds_again(self) -> None:
        made = customer()
        assert broken(made.id) == []
        tampered(
            "UPDATE revenue_days SET amount = amount + 1 WHERE organization = %s AND account = 'revenue'",
            made.id,
        )
        tampered("DELETE FROM mrr_movements WHERE organization = %s AND kind = 'new'", made.id)
        run_job(name="payouts.check_metrics")
        found = findings(made.id)
        assert {status for status, _ in found} == {"open"}
        assert {subject.partition(":")[0] for _, subject in found} == {"mrr", "revenue"}
        run_job(name="payouts.check_metrics")
        assert findings(made.id) == found
        call_command("rebuild_metrics", stdout=StringIO())
        run_job(name="payouts.check_metrics")
        assert findings(made.id) == [("resolved", subject) for _, subject in found]

    def test_names_a_level_that_its_subscription_does_not_come_to(self) -> None:
        made = make_customer("0", funding="postpaid", credit_limit=None)
        held = subscribe(owner(made.id), sell(fee("30")))
        moved(made.id)
        tampered("UPDATE recurring_levels SET mrr = mrr + 1 WHERE organization = %s", made.id)
        assert {(one.identity, one.subject.partition(":")[0]) for one in broken(made.id)} == {
            ("V1", "mrr"), ("V4", "subscription"),
        }  # fmt: skip
        assert f"subscription:{held['id']}" in {one.subject for one in broken(made.id)}
        call_command("rebuild_metrics", stdout=StringIO())
        assert broken(made.id) == []

    def test_allows_for_what_the_reader_has_not_read(self) -> None:
        made = customer()
        moved(made.id)
        made.use("2")

        def read(cur: Cursor) -> Any:
            cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return violations(cur)

        assert [one for one in write(read) if one.organization == made.id] == []

    def test_is_part_of_verify_ledger(self) -> None:
        made = customer()
        moved(made.id)
        assert [one for one in verify().findings if one.table == KIND] == []
        tampered(
            "UPDATE revenue_days SET amount = amount + 1 WHERE organization = %s AND account = 'revenue'",
            made.id,
        )
        assert [str(made.id) in one.detail for one in verify().findings if one.table == KIND] == [True]
        call_command("rebuild_metrics", stdout=StringIO())


class TestRebuilding:
    def test_writes_the_same_rows_again(self) -> None:
        made = customer()
        moved(made.id)
        before = kept_rows(made.id)
        assert all(before)
        out = StringIO()
        call_command("rebuild_metrics", stdout=out)
        assert out.getvalue().endswith("events read\n")
        assert kept_rows(made.id) == before

    def test_gives_the_same_rows_event_by_event_as_in_one_batch(self) -> None:
        made = customer()
        moved(made.id)
        before = kept_rows(made.id)

        def read_again(cur: Cursor) -> None:
            for table in TABLES:
                cur.execute(f"DELETE FROM {table} WHERE organization = %s", (made.id,))
            rows = cur.execute(
                f"SELECT {COLUMNS} FROM events WHERE organization = %s ORDER BY seq", (made.id,)
            )
            for event in list(stored_events(rows.fetchall())):
                follow(cur, [event])

        write(read_again)
        assert kept_rows(made.id) == before


class TestThePage:
    def test_shows_the_figures_of_a_month_to_who_may_read_them(self) -> None:
        made = customer()
        metric("mrr", made.id)
        client = staff("view_revenuemetrics")
        page = client.get(PAGE, {"sandbox": "1"}).content.decode()
        for title in (
            "Recurring revenue",
            "Movements",
            "Retention",
            "Revenue",
            "Top customers",
            "Concentration",
        ):
            assert f"<h2>{title}</h2>" in page
        assert "committed_mrr" in page
        assert "Revenue metrics" in client.get("/admin/").content.decode()
        assert staff().get(PAGE).status_code == 403

    def test_says_what_is_wrong_with_a_month(self) -> None:
        client = staff("view_revenuemetrics")
        assert "A month is written as" in client.get(PAGE, {"month": "2026-13"}).content.decode()
        assert "has not begun" in client.get(PAGE, {"month": "2199-01"}).content.decode()


def staff(*permissions: str) -> Client:
    """A person of the staff with these permissions."""
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client
