"""What customers are told is made from events as they really are, has the documented fields, and tells of no person."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from billing.rules.contracts.writing import write_row
from billing.rules.subscriptions.writing import write_subscription
from common.ids import new_id
from events.publictypes import public_type, told
from events.store import Event, encode
from tests.builders.billing import with_invoice
from tests.builders.contracted import Agreement
from tests.builders.contracted import terms as contract_terms
from tests.builders.gate import make_customer
from tests.builders.incidents import open_incident
from tests.builders.orgs import caller, make_agent, make_organization, write
from tests.builders.subscribed import Catalog, Subscriber, day, fee, terms
from tests.functional.gate.test_approvals import decide, waiting

WHY = {"reason": "Ada Lovelace said so"}


def events_since(organization: UUID) -> list[Event]:
    """Every event of an organization, as the reader hands them over."""
    from events.reading import COLUMNS, stored_events

    rows = write(
        lambda cur: cur.execute(
            f"SELECT {COLUMNS} FROM events WHERE organization = %s ORDER BY seq", (organization,)
        ).fetchall()
    )
    return list(stored_events(rows))


def checked(events: list[Event]) -> list[str]:
    """The types that these events mean outside; each with the documented fields, and nothing of a person in it."""
    found = []
    for event in events:
        for name, data in told(event):
            assert set(data) == set(public_type(name).example), name
            text = encode(data).decode()
            assert "Ada" not in text
            assert "reason" not in json.loads(text)
            found.append(name)
    return found


def event(kind: str, data: dict[str, Any], at: datetime | None = None) -> Event:
    stream = kind.partition(".")[0]
    return Event(new_id(), stream, new_id(), 1, kind, data, at or datetime.now(UTC), "system:test")


class TestInvoices:
    def test_are_opened_paid_in_parts_and_credited(self) -> None:
        made, invoice = with_invoice("10")
        made.pay(invoice["id"], "4")
        made.pay(invoice["id"], "6")
        assert made.act(invoice["id"], "credit-notes", {**WHY, "amount": "1"}).status_code == 201
        names = [
            name for name in checked(events_since(made.id)) if name.startswith(("invoice", "credit_note"))
        ]
        assert names == [
            "invoice.opened",
            "invoice.payment_received",
            "invoice.paid",
            "invoice.payment_received",
            "credit_note.issued",
        ]

    @pytest.mark.parametrize(
        ("verb", "name"), [("void", "invoice.voided"), ("write-off", "invoice.uncollectible")]
    )
    def test_are_voided_or_given_up_with_nothing_due(self, verb: str, name: str) -> None:
        made, invoice = with_invoice("10")
        assert made.act(invoice["id"], verb, WHY).status_code == 200
        events = events_since(made.id)
        assert checked(events)[-1] == name
        (data,) = [data for each in events for kind, data in told(each) if kind == name]
        assert (data["total"], data["due"]) == ("10.00", "0.00")

    def test_a_paid_one_is_not_paid_again_by_what_happens_later(self) -> None:
        made, invoice = with_invoice("10")
        made.pay(invoice["id"], "10")
        made.act(invoice["id"], "credit-notes", {**WHY, "amount": "1"})
        made.act(invoice["id"], "credit-notes", {**WHY, "amount": "2"})
        assert checked(events_since(made.id)).count("invoice.paid") == 1


class TestTheGate:
    def test_thresholds_approvals_and_incidents(self) -> None:
        customer = make_customer()
        approval = waiting(customer)
        assert decide(caller(customer.id, "admin"), approval).status_code == 200
        names = checked(events_since(customer.id))
        assert {"threshold.crossed", "approval.requested", "approval.approved", "incident.opened"} <= set(
            names
        )
        assert "credit.granted" in names

    def test_pauses_kill_switches_and_incidents_of_every_scope(self) -> None:
        organization = make_organization()
        make_agent(organization, "bot")
        admin = caller(organization, "admin")
        assert admin.post("/v1/agents/bot/pause", WHY).status_code == 200
        assert admin.post("/v1/agents/bot/resume", WHY).status_code == 200
        body = {"scope": "user", "target": "Ada Lovelace", **WHY}
        switch = admin.post("/v1/kill-switches", body)
        assert switch.status_code == 201, switch.content
        assert admin.post(f"/v1/kill-switches/{switch.json()['id']}/release", WHY).status_code == 200
        incident = open_incident(organization, switch="pause")
        assert admin.post(f"/v1/incidents/{incident.id}/release", WHY).status_code == 200
        names = checked(events_since(organization))
        assert {"agent.paused", "agent.resumed", "kill_switch.set", "kill_switch.lifted"} <= set(names)
        assert {"incident.opened", "incident.released"} <= set(names)

    def test_a_label_of_an_end_user_and_a_switch_that_only_observes_are_not_told(self) -> None:
        data = {"scope": "user", "target_id": None, "target_label": "Ada", "kind": "kill", "mode": "enforce"}
        data |= {"cause": "manual", "incident_id": None, "set_at": "x", "lifted_at": None}
        ((name, shown),) = told(event("switch.set", data))
        assert (name, shown["target"]) == ("kill_switch.set", None)
        assert told(event("switch.set", {**data, "mode": "observe"})) == []


class TestWhatIsSold:
    def test_a_subscription(self) -> None:
        catalog = Catalog()
        row = Subscriber(catalog, catalog.add(terms(fee("49"))), day("2026-01-01")).row
        ((name, data),) = told(event("subscription.started", write_subscription(row)))
        assert checked([event("subscription.started", write_subscription(row))]) == [name]
        assert (data["status"], data["plan"]) == ("active", str(row.selection.plan))

    def test_a_contract(self) -> None:
        row = Agreement(contract_terms("1000")).row
        data = write_row(replace(row, reason="Ada Lovelace said so"))
        assert checked([event("contract.ended", data)]) == ["contract.ended"]
