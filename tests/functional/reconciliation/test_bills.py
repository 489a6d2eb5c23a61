"""Providers' bills beside our record of calls: imported once, compared by day and model, booked by finance."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from orgs import PLATFORM_ID
from tests.builders.books import balances, rows
from tests.builders.gate import UNIT, make_customer, make_model
from tests.builders.orgs import Caller, platform, unique
from tests.builders.reconciling import Day
from tests.functional.webhooks.test_inbox_admin import staff
from tests.invariants import Still, assert_sound

TODAY = datetime.now(UTC)
HEAD = "usage_date_utc,model,workspace,cost_usd\n"


def used(model: str, dollars: int) -> UUID:
    """A customer whose call at Anthropic cost this much today."""
    customer = make_customer()
    action = {"kind": "llm.chat", "provider": "anthropic", "model": model}
    usage = {"input_tokens": dollars * 1_000_000}
    answer = customer.use(None, action=action, usage=usage, occurred_at=datetime.now(UTC).isoformat())
    assert answer.status_code in (200, 201), answer.content
    return customer.id


def file_of(model: str, cost: str) -> str:
    return f"{HEAD}{TODAY:%Y-%m-%d},{model},{unique()},{cost}\n"


def bill_rows(bill: str) -> int:
    """How often a bill was imported."""
    return int(rows("SELECT count(*) FROM v_events WHERE stream = 'provider_bill:' || %s::text", bill)[0][0])


def imported(text: str, api: Caller | None = None) -> Any:
    body = {"provider": "anthropic", "csv": text}
    return (api or platform()).post("/v1/provider-bills", body, key=unique())


class TestABillOfAProvider:
    def test_is_imported_once_and_a_wrong_one_not_at_all(self) -> None:
        text = file_of(unique("m"), "1.25")
        first, again = imported(text), imported(text)
        assert first.status_code == 201, first.content
        assert first.json()["id"] == again.json()["id"]
        api = platform()
        with Still(PLATFORM_ID):
            assert imported(text.replace("1.25", "lots"), api).status_code == 400
            assert imported(text.replace("1.25", '"1,250.00"'), api).status_code == 400
            unknown = imported("a,b\n1,2\n", api)
        assert (unknown.status_code, unknown.json()["code"]) == (422, "bill_columns_unknown")
        assert unknown.json()["expected_columns"] == ["usage_date_utc", "model", "cost_usd"]
        saved_anew = imported("\ufeff" + text.replace("\n", "\r\n").replace("cost_usd", "Cost_USD"))
        assert (saved_anew.status_code, saved_anew.json()["id"]) == (201, first.json()["id"])
        assert bill_rows(first.json()["id"]) == 1

    def test_that_differs_is_a_finding_until_it_is_booked(self, day: Day) -> None:
        right, wrong = make_model("anthropic"), make_model("anthropic")
        used(right, 2)
        used(wrong, 2)
        imported(file_of(right, "2.01"))
        bill = imported(file_of(wrong, "3")).json()
        assert {each["model"]: each["is_within"] for each in bill["days"]}[wrong] is False
        day.run("bills")
        found = [each for each in day.differences("open") if each.detail.get("model") == wrong]
        assert [(each.name, each.amount) for each in found] == [("cost", UNIT)]
        mine = [each for each in day.differences() if each.detail.get("model") == right
                and each.detail["billed"] and each.outcome == "open"]  # fmt: skip
        assert mine == []
        before = balances(PLATFORM_ID)
        answer = platform().post(f"/v1/provider-bills/{bill['id']}/book", {"against": "cash"}, key=unique())
        assert (answer.status_code, answer.json()["status"]) == (200, "booked"), answer.content
        assert balances(PLATFORM_ID)["cash"] - before.get("cash", 0) == 3 * UNIT
        api = platform()
        with Still(PLATFORM_ID):
            again = api.post(f"/v1/provider-bills/{bill['id']}/book", {"against": "cash"}, key=unique())
        assert again.status_code == 409
        day.run("bills")
        assert [each.outcome for each in day.differences() if each.id == found[0].id] == ["gone"]
        assert_sound(PLATFORM_ID)

    def test_is_imported_by_the_command_and_on_the_staffs_page(self, tmp_path: Any) -> None:
        path = tmp_path / "bill.csv"
        path.write_text(file_of(unique("m"), "4.5"))
        model, line = unique("m"), f"{TODAY:%Y-%m-%d},{{}},{'w' * 1_000},0.001\n"
        path.write_text(HEAD + line.format(model) * 11_000)
        assert path.stat().st_size > 11_000_000
        output = io.StringIO()
        call_command("import_provider_bill", "anthropic", str(path), stdout=output)
        assert ": 11 USD, imported." in output.getvalue()
        path.write_text(file_of(unique("m"), "4.5"))
        output = io.StringIO()
        call_command("import_provider_bill", "anthropic", str(path), "--json", stdout=output)
        assert '"is_new": true' in output.getvalue()
        client = staff("view_providerbill", "change_providerbill")
        page = "/admin/webhooks/providerbill/"
        assert "Import a bill" in client.get(page).content.decode()
        file = SimpleUploadedFile("b.csv", path.read_bytes())
        given = {"provider": "anthropic", "tolerance_ppm": "10000", "file": file}
        answer = client.post(f"{page}upload/", given, follow=True)
        assert "imported before" in answer.content.decode()
        assert staff("view_providerbill").get(f"{page}upload/").status_code == 403
