"""Money in suspense that was meant for an invoice: it pays it, ends its dunning, or is refused and stays (S91)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ledger.queries.integrity import violations
from orgs import PLATFORM_ID
from tests.builders.books import open_books
from tests.builders.dunning import usual_policy
from tests.builders.orgs import Caller, platform, unique, write
from tests.builders.paying import Payer, paying
from tests.builders.processor import CENT
from tests.builders.reconciling import Day, suspense
from tests.functional.billing.test_dunning_collected import gate, late, newest
from tests.functional.reconciliation.test_suspense import strange
from tests.functional.webhooks.test_inbox_admin import staff
from tests.invariants import Still, assert_sound

PAGE = "/admin/webhooks/processoritem/"


def in_arrears(day: Day, cents: int) -> tuple[Payer, str]:
    """A customer whose card fails, and who is suspended for one invoice."""
    made = late(day.simulator)
    with usual_policy((0, "suspend")):
        invoice = made.open_invoice(cents)
        made.send()
    assert (newest(made).state, gate(made)) == ("suspended", (403, "suspended"))
    return made, str(invoice["id"])


def assign(api: Caller, item: str, made: Payer | UUID, invoice: str, key: str | None = None) -> Any:
    """What the API answers."""
    organization = made if isinstance(made, UUID) else made.id
    body = {"organization": str(organization), "invoice": invoice, "reason": "their transfer"}
    return api.post(f"/v1/suspense/{item}/assign", body, key=key or unique())


def chosen(item: Any, made: Payer, invoice: str, reason: str = "their transfer") -> dict[str, Any]:
    """The form of the staff's action."""
    return {
        "action": "assign", "_selected_action": item, "organization": str(made.id), "invoice": invoice,
        "reason": reason,
    }  # fmt: skip


class TestAnInvoice:
    def test_is_paid_once_by_what_is_assigned_to_it_and_its_dunning_ends(self, day: Day) -> None:
        made, invoice = in_arrears(day, 4_931)
        before, item, key, api = suspense(), strange(day, 4_931), unique(), platform()
        answer = assign(api, item["id"], made, invoice, key)
        assert (answer.status_code, answer.json()["invoice"]) == (200, invoice), answer.content
        assert (made.invoice(invoice)["status"], newest(made).state, gate(made)) == (
            "paid",
            "closed",
            (201, None),
        )
        assert assign(api, item["id"], made, invoice, key).json() == answer.json()
        with Still(made.id), Still(PLATFORM_ID):
            assert assign(api, item["id"], made, invoice).status_code == 409
        assert suspense() == before
        assert made.charged() == [4_931]  # the stranger's
        made.made.assert_sound()
        assert_sound(PLATFORM_ID)
        assert write(violations) == []
        day.run()
        assert day.by_class("open") == {}
        assert day.moved()[0] == day.moved()[1]

    def test_is_paid_in_part_and_stays_open_until_the_staff_assigns_the_rest(self, day: Day) -> None:
        made, invoice = in_arrears(day, 4_900)
        first, rest = strange(day, 1_913), strange(day, 2_987)
        assert assign(platform(), first["id"], made, invoice).status_code == 200
        assert (made.invoice(invoice)["due"], newest(made).state) == ("29.87", "suspended")
        client, reader = staff("view_processoritem", "change_processoritem"), staff("view_processoritem")
        with Still(made.id), Still(PLATFORM_ID):
            reader.post(PAGE, chosen(rest["id"], made, invoice))
            client.post(PAGE, chosen(rest["id"], made, invoice, reason=" "))
        client.post(PAGE, chosen(rest["id"], made, invoice))
        assert (made.invoice(invoice)["status"], newest(made).state, gate(made)) == (
            "paid",
            "closed",
            (201, None),
        )
        with Still(made.id), Still(PLATFORM_ID):
            client.post(PAGE, chosen(rest["id"], made, invoice))
        made.made.assert_sound()
        assert_sound(PLATFORM_ID)

    def test_that_owes_less_is_closed_or_is_anothers_takes_nothing(self, day: Day) -> None:
        made, other = paying(day.simulator), paying(day.simulator)
        small, (paid, _) = late(day.simulator), made.paid_invoice(4_900)
        little = small.open_invoice(1_000)
        euros = open_books(currency="EUR")
        empty = suspense()
        item, before, api = strange(day, 4_777), suspense(), platform()
        assert before == empty + 4_777 * CENT
        for organization, invoice, status, code in (
            (small.id, little["id"], 422, "amount_exceeds_available"),
            (made.id, paid["id"], 409, "invalid_transition"),
            (other.id, paid["id"], 404, "not_found"),
            (other.id, item["id"], 404, "not_found"),
            (euros, little["id"], 422, "currency_mismatch"),
        ):
            with Still(organization), Still(made.id), Still(PLATFORM_ID):
                answer = assign(api, item["id"], organization, invoice)
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
        assert (suspense(), small.invoice(little["id"])["status"]) == (before, "open")
