"""The staff's pages of invoices: finance moves them on by the operations of the API."""

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.builders.billing import with_invoice


@pytest.fixture
def staff() -> Client:
    """A superuser's browser."""
    name = f"finance-{secrets.token_hex(4)}"
    User.objects.create_superuser(name, password="correct horse battery")
    client = Client()
    assert client.login(username=name, password="correct horse battery")
    return client


def act(staff: Client, action: str, invoice: str, **fields: str) -> Any:
    """Press a button of the list."""
    body = {"action": action, "_selected_action": [invoice], "index": "0", **fields}
    return staff.post("/admin/billing/invoice/", body, follow=True)


def test_an_invoice_is_shown_with_its_lines_and_paid_and_credited_by_buttons(staff: Client) -> None:
    made, invoice = with_invoice("3")
    page = staff.get(f"/admin/billing/invoice/{invoice['id']}/change/")
    assert page.status_code == 200 and b"1 call" in page.content
    assert b"has a method and a reference" in act(staff, "pay", invoice["id"], amount="1").content
    act(staff, "pay", invoice["id"], amount="1", method="cash", reference="till 1")
    act(staff, "credit", invoice["id"], reason="Sorry.")
    shown = made.reader.get(f"/v1/invoices/{invoice['id']}").json()
    assert (shown["status"], shown["paid"], shown["credited"]) == ("paid", "0.00", "3.00")
    assert (
        b"takes no payment"
        in act(staff, "pay", invoice["id"], amount="1", method="cash", reference="till 2").content
    )
    for page_name in ("creditnote", "billingrun"):
        assert staff.get(f"/admin/billing/{page_name}/").status_code == 200
    made.assert_sound()
