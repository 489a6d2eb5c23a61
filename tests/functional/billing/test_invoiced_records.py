"""From use back to its invoice line: whatever a line's CSV lists names that line, and the other way round."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker

from billing.rules.meters import Filter
from common.ids import new_id
from tests.builders.billing import Billed, billed
from tests.builders.books import rows
from tests.builders.counted import DOLLAR, charge, counts, plan
from tests.builders.gate import make_model
from tests.builders.metering import make_meter, new_event, record, unique_type
from tests.builders.orgs import caller, make_organization, platform, unique
from tests.builders.staffed import staff
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import now_of, owner, subscribe

Place = tuple[str, int]
WHY = {"reason": "It was wrong."}


def place_of(made: Billed, kind: str, record: object) -> dict[str, Any]:
    answer = made.reader.get(f"/v1/{kind}/{record}/invoice-line")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def listed(made: Billed) -> dict[Place, set[str]]:
    """The rows of the CSV of each line over use or over a meter, of all invoices."""
    found = {}
    for invoice in made.invoices():
        for line in made.lines(invoice["id"]):
            if line["kind"] in ("usage", "metered"):
                address = f"/v1/invoices/{invoice['id']}/lines/{line['number']}/records.csv"
                text = b"".join(made.reader.get(address).streaming_content).decode()
                ids = {row["id"] for row in csv.DictReader(io.StringIO(text))}
                found[invoice["id"], line["number"]] = ids
    return found


def named(made: Billed, lines: Iterable[Place]) -> dict[Place, set[str]]:
    """Which rows name each of these lines, asked of every usage record and every event of the customer."""
    found: dict[Place, set[str]] = {place: set() for place in lines}
    usage = rows("SELECT id FROM usage_records WHERE organization = %s", made.id)
    events = rows("SELECT id FROM meter_events WHERE organization = %s AND id = event_id", made.id)
    for kind, ids in (("usage", usage), ("events", events)):
        for (one,) in ids:
            for line in place_of(made, kind, one)["lines"]:
                found[line["invoice"], line["line"]].update(line["records"])
    return found


def used(made: Billed, **given: Any) -> str:
    """A usage record after the fact, a second ago."""
    when = (now_of(made.id) - timedelta(seconds=1)).isoformat()
    answer = made.customer.use(occurred_at=given.pop("at", when), **given)
    assert answer.status_code == 201, answer.content
    ((found,),) = rows("SELECT max(id::text) FROM usage_records WHERE organization = %s", made.id)
    return str(found)


def bill(made: Billed) -> None:
    made.pass_months()
    made.run()


class TestEveryRecordOfALine:
    def test_names_that_line_and_no_other(self) -> None:
        made, model = billed(credit="5"), make_model()
        events = make_meter("sum", group_by=("region",))
        calls = make_meter("count", source="usage")
        eu = Filter("region", "equals", ("eu",))
        some = make_meter("count", event_type=events.definition.event_type, filters=(eu,))
        who = owner(made.id)
        subscribe(
            who,
            plan(
                fee("1"),
                charge(events, group_by=["region"]),
                metered("calls", meter=calls.key, prices=DOLLAR),
                metered("some", meter=some.key, prices=DOLLAR),
            ),
        )
        made.customer.pass_time(minutes=5)
        used(made, amount="3")
        used(made, amount="4", action={"kind": "tool.call", "tool": "search"})
        used(made, amount=None, action={"kind": "llm.chat", "provider": "acme", "model": model},
             usage={"input_tokens": 1000, "output_tokens": 10})  # fmt: skip
        amended, voided = (counts(made, events, units, region="eu") for units in ("7", "30"))
        body = {**WHY, "data": {"units": "8", "region": "us"}}
        assert who.post(f"/v1/events/{amended}/amend", body, key=unique()).status_code == 200
        began = now_of(made.id) - timedelta(minutes=1)
        bill(made)
        used(made, amount="2", at=began.isoformat())  # late, of a period that is on an invoice
        assert who.post(f"/v1/events/{voided}/void", WHY, key=unique()).status_code == 200
        used(made, amount="1")
        bill(made)
        newest = [one for one in made.invoices() if one["status"] == "open"][-1]
        assert made.act(newest["id"], "void", WHY).status_code == 200
        bill(made)
        assert len(made.invoices()) >= 3
        lines = listed(made)
        assert named(made, lines) == lines
        assert any(len(ids) > 2 for ids in lines.values())

    def test_is_told_with_its_invoice_period_and_who_paid(self) -> None:
        made = billed(credit="5")
        one = used(made, amount="12")
        open_yet = place_of(made, "usage", one)
        assert (open_yet["status"], open_yet["reason"], open_yet["lines"]) == (
            "not_invoiced", "open_period", [],
        )  # fmt: skip
        assert (
            open_yet["next_at"]
            == made.finance.get(f"/v1/billing-cycle?organization={made.id}").json()["next_at"]
        )
        bill(made)
        invoice, found = made.only(), place_of(made, "usage", one)
        (line,) = found["lines"]
        assert (found["status"], found["reason"], found["next_at"]) == ("invoiced", None, None)
        assert (line["invoice"], line["number"], line["line"]) == (invoice["id"], invoice["number"], 1)
        assert (line["amount"], line["period_end"], line["late"]) == ("7.00", invoice["period_end"], False)
        paid = [(part["source"], part["kind"], part["amount"]) for part in found["funding"]]
        assert paid == [("credit", "paid", "5"), ("postpaid", None, "7")]
        ((source,),) = rows("SELECT source FROM journal_entries WHERE id = %s", UUID(found["entry"]))
        assert source == f"usage_record:{one}"

    def test_of_the_gate_has_the_entry_of_its_commit(self) -> None:
        made = billed()
        made.use("2")
        ((one,),) = rows("SELECT id FROM usage_records WHERE organization = %s", made.id)
        entry = place_of(made, "usage", one)["entry"]
        ((source,),) = rows("SELECT source FROM journal_entries WHERE id = %s", UUID(entry))
        assert source == f"usage_record:{one}"

    def test_that_charged_a_meter_names_the_line_of_the_charge(self) -> None:
        made, meter = billed(), make_meter("sum")
        subscribe(owner(made.id), plan(charge(meter)))
        event = counts(made, meter, "15")
        bill(made)
        found = place_of(made, "events", event)
        ((one, key),) = rows(
            "SELECT id, external_id FROM usage_records WHERE organization = %s AND kind = 'metered'", made.id
        )
        charged = place_of(made, "usage", one)
        assert found["charge"] == charged["charge"] == str(one), key
        assert found["funding"] == charged["funding"] != []
        (line,), (own,) = found["lines"], charged["lines"]
        assert (line["invoice"], line["line"], line["kind"]) == (own["invoice"], own["line"], "metered")
        assert (line["records"], own["records"]) == ([event], [])
        assert (line["counts"], found["status"], charged["status"]) == (True, "invoiced", "invoiced")


class TestWhatIsOnNoInvoice:
    @pytest.mark.parametrize(("kind", "reason"), [("paid", "funded"), ("promotional", "promotional")])
    def test_was_paid_by_credit(self, kind: str, reason: str) -> None:
        made = billed()
        made.customer.grant("20", kind=kind)
        one, free = used(made, amount="12"), used(made, amount="0")
        bill(made)
        found = place_of(made, "usage", one)
        assert (found["status"], found["reason"], found["lines"]) == ("not_invoiced", reason, [])
        assert [(part["kind"], part["amount"]) for part in found["funding"]] == [(kind, "12")]
        assert place_of(made, "usage", free)["reason"] == "free"
        assert made.invoices() == []

    def test_was_given_back_by_a_void_invoice_and_is_billed_again(self) -> None:
        made, meter = billed(), make_meter("sum")
        subscribe(owner(made.id), plan(charge(meter)))
        one, event = used(made, amount="12"), counts(made, meter, "15")
        bill(made)
        places = ("usage", one), ("events", event)
        before = [place_of(made, *place) for place in places]
        for invoice in {found["lines"][0]["invoice"] for found in before}:
            assert made.act(invoice, "void", WHY).status_code == 200
        for place in places:
            found = place_of(made, *place)
            assert (found["status"], found["reason"]) == ("not_invoiced", "given_back")
            assert [line["status"] for line in found["lines"]] == ["void"]
        bill(made)
        for place in places:
            found = place_of(made, *place)
            assert found["status"] == "invoiced"
            assert sorted(line["status"] == "void" for line in found["lines"]) == [False, True]

    def test_counts_no_more_or_was_never_counted(self) -> None:
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        subscribe(who, plan(fee("1"), charge(meter)))
        running, gone = (counts(made, meter, "20") for _ in range(2))
        nobody = record(made.id, new_event(unique_type(), now_of(made.id), {"units": "1"}))[0]
        other = make_meter("sum")
        unsold = record(
            made.id, new_event(other.definition.event_type or "", now_of(made.id), {"units": "1"})
        )[0]
        assert who.post(f"/v1/events/{gone}/void", WHY, key=unique()).status_code == 200
        told = [place_of(made, "events", one)["reason"] for one in (running, gone, nobody, unsold)]
        assert told == ["open_period", "void", "no_meter", "no_charge"]
        bill(made)
        assert place_of(made, "events", running)["status"] == "invoiced"
        found = place_of(made, "events", gone)
        assert [line["counts"] for line in found["lines"]] == [False]
        assert (found["status"], found["reason"]) == ("not_invoiced", "void")

    def test_of_a_meter_came_late_or_was_taken_back_after_it_was_billed(self) -> None:
        made, meter = billed(), make_meter("sum")
        who = owner(made.id)
        subscribe(who, plan(fee("1"), charge(meter)))
        event = counts(made, meter, "20")
        when = now_of(made.id) - timedelta(minutes=1)
        bill(made)
        late = record(made.id, new_event(meter.definition.event_type or "", when, {"units": "1"}))[0]
        assert who.post(f"/v1/events/{event}/void", WHY, key=unique()).status_code == 200
        assert place_of(made, "events", late)["reason"] == "late"
        assert place_of(made, "events", event)["status"] == "invoiced"
        bill(made)
        (line,), taken = place_of(made, "events", late)["lines"], place_of(made, "events", event)
        assert (line["late"], line["counts"]) == (True, True)
        assert [one["counts"] for one in taken["lines"]] == [True, False]
        assert (taken["status"], taken["reason"]) == ("not_invoiced", "void")


class TestWhoAsks:
    def test_is_answered_as_described(self) -> None:
        document = json.loads(Client().get("/v1/openapi.json").content)
        made, meter = billed(credit="1"), make_meter("sum")
        subscribe(owner(made.id), plan(charge(meter)))
        one, event = used(made, amount="2"), counts(made, meter, "15")
        answers = [(kind, place_of(made, kind, name)) for kind, name in (("usage", one), ("events", event))]
        bill(made)
        answers += [(kind, place_of(made, kind, name)) for kind, name in (("usage", one), ("events", event))]
        for kind, answer in answers:
            told = document["paths"][f"/v1/{kind}/{{name}}/invoice-line"]["get"]["responses"]["200"]
            schema = {**told["content"]["application/json"]["schema"], "components": document["components"]}
            Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer)
            named = document["components"]["schemas"]["InvoicedRecord"]["properties"]
            assert answer.keys() == named.keys()

    def test_reads_invoices_of_the_organization_and_no_others(self) -> None:
        made, meter = billed(), make_meter("sum")
        one, event = used(made, amount="2"), counts(made, meter, "1")
        for path in (f"/v1/usage/{one}/invoice-line", f"/v1/events/{event}/invoice-line"):
            assert caller(make_organization(), "billing:read").get(path).status_code == 404
            assert caller(made.id, "spend:read", "spend:write").get(path).status_code == 403
            assert caller(made.id, "billing:read", agents=["bot"]).get(path).status_code == 403
            assert platform().get(path).json() == made.reader.get(path).json()
            assert made.reader.get(path, colour="red").status_code == 400
        for kind in ("usage", "events"):
            for name in (new_id(), "x"):
                assert made.reader.get(f"/v1/{kind}/{name}/invoice-line").status_code == 404

    def test_on_the_staffs_pages_finds_a_link_to_the_invoice(self) -> None:
        made, meter = billed(), make_meter("sum")
        subscribe(owner(made.id), plan(charge(meter)))
        one, event = used(made, amount="2"), counts(made, meter, "15")
        _, client = staff("view_usagerecord", "view_meterevent")
        pages = f"/admin/spend/usagerecord/{one}/change/", f"/admin/billing/meterevent/{event}/change/"
        assert [b"Its period is not invoiced yet." in client.get(page).content for page in pages] == [
            True
        ] * 2
        bill(made)
        for page, place in zip(pages, (("usage", one), ("events", event)), strict=True):
            (line,) = place_of(made, *place)["lines"]
            assert f"/admin/billing/invoice/{line['invoice']}/change/" in client.get(page).content.decode()
