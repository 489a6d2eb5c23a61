"""The staff's pages of revenue: to read, to close a month and to reopen it."""

import secrets
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from billing.models import AccountingPeriod
from billing.operations.revenue.closing import close_due_books
from billing.queries.accounting import seller_named
from billing.rules.months import month_text
from tests.builders.billing import billed
from tests.builders.orgs import write
from tests.builders.revenue import charge, end_of, go_to, month_of_now, sold_by

PAGE = "/admin/billing/monthreport/"
READER = ("view_monthreport", "view_recognitionschedule", "view_accountingperiod")
KEEPER = (*READER, "change_monthreport", "change_accountingperiod")


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def with_fee() -> tuple[Any, str, str]:
    """A customer of its own seller, with a fee of a month that is over."""
    made = billed()
    start = end_of(month_of_now(made))
    go_to(made, start)
    charge(made, 30, start, end_of(start.date()))
    go_to(made, end_of(start.date()))
    return made, sold_by(made), month_text(start.date())


def test_show_schedules_and_the_month_to_who_may_read() -> None:
    made, seller, month = with_fee()
    client = staff(*READER)
    schedules = client.get(f"/admin/billing/recognitionschedule/?organization={made.id}")
    assert b"30" in schedules.content
    given = {"month": month, "organization": str(made.id), "legal_entity": seller}
    page = client.get(PAGE, given).content.decode()
    assert "Trial balance" in page
    assert "deferred_revenue in USD" in page
    assert "Close the month" not in page
    assert client.post(f"{PAGE}?month={month}", {"month": month, "legal_entity": seller}).status_code == 403
    assert staff().get(PAGE).status_code == 403
    assert "A month is written as" in client.get(PAGE, {"month": "2026-13"}).content.decode()


def test_close_a_month_and_reopen_it_with_a_reason() -> None:
    made, seller, month = with_fee()
    client = staff(*KEEPER)
    body = {"month": month, "legal_entity": seller}
    page = client.post(f"{PAGE}?month={month}", body, follow=True).content.decode()
    assert f"{month} is being closed" in page
    assert "already" in client.post(f"{PAGE}?month={month}", body, follow=True).content.decode()
    close_due_books()
    entity = write(lambda cur: seller_named(cur, seller))
    row = AccountingPeriod.objects.get(legal_entity=entity)
    assert row.status == "closed"
    chosen = {"action": "reopen", "_selected_action": [str(row.id)]}
    path = "/admin/billing/accountingperiod/"
    assert "reason is required" in client.post(path, chosen, follow=True).content.decode()
    client.post(path, {**chosen, "reason": "a late bill"}, follow=True)
    close_due_books()
    row.refresh_from_db()
    assert (row.status, row.reason) == ("open", "a late bill")
    assert staff(*READER).post(path, {**chosen, "reason": "x"}, follow=True).status_code == 200
    row.refresh_from_db()
    assert row.status == "open"
    assert made.id
