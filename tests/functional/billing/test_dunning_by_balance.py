"""Dunning by overdue balance: a campaign for each currency at its threshold, what ends it, and its policies."""

from datetime import timedelta
from typing import Any

import pytest

from billing.operations.dunning.due import close_settled
from billing.operations.dunning.telling import KIND as NOTICES
from billing.operations.invoices import paying
from billing.operations.letters import send_due
from billing.operations.simulating import simulate
from billing.queries.dunningintegrity import violations
from tests.builders.campaigns import POLICIES, THRESHOLDS, Owing, document, policy_by
from tests.builders.dunning import DAY, HARD, PROCESSOR, usual_policy
from tests.builders.orgs import platform, unique, write
from tests.functional.billing.test_dunning_cases import staff


def owing(*amounts: str, **given: Any) -> Owing:
    """A customer that owes so much in USD; the timer has looked."""
    dunned = Owing(**given)
    for amount in amounts:
        dunned.owes(amount)
    dunned.look()
    return dunned


def sound(dunned: Owing) -> None:
    """Books, invoices and dunning are as they have to be."""
    dunned.made.assert_sound()
    assert write(violations) == []


class TestBelowTheThreshold:
    def test_nothing_happens_and_nobody_is_suspended(self) -> None:
        with policy_by(document((0, "suspend"))):
            dunned = owing("60", "39.99")
            for day in (1, 40):
                dunned.day(day)
                assert (dunned.is_due(), dunned.look()) == (False, False)
            assert (dunned.state(), dunned.call(), dunned.notices()) == (None, (201, None), [])
            assert PROCESSOR.of(dunned.id) == 0

    def test_a_simulation_passes_over_what_is_overdue(self) -> None:
        with policy_by(document()):
            dunned = owing("60")
            until = dunned.start + 40 * DAY
            assert simulate(organization=dunned.id, until=until).is_finished
            assert dunned.state() is None

    @pytest.mark.parametrize("currency", ["EUR", "USD"], ids=["another currency", "its own"])
    def test_or_without_one_in_the_customers_currency_it_never_starts(self, currency: str) -> None:
        with policy_by(document(thresholds={currency: "100.00"})):
            dunned = owing("5000")
            assert dunned.state() == (None if currency == "EUR" else "past_due")
            dunned.day(60)
            assert dunned.attempts() == (
                [] if currency == "EUR" else [("USD", 1, "retried"), ("USD", 2, "retried")]
            )
            assert not dunned.is_due()


class TestACampaign:
    def test_begins_when_a_second_invoice_reaches_the_threshold_and_asks_for_both(self) -> None:
        with policy_by(document((0, "suspend"))):
            dunned = owing("60")
            assert dunned.state() is None
            dunned.owes("40")
            assert dunned.is_due()
            dunned.look()
        assert (dunned.state(), dunned.attempts()) == ("past_due", [("USD", 1, "retried")])
        assert {str(each) for each in dunned.case().pending} == set(dunned.invoices)
        shown = dunned.made.reader.get(f"/v1/dunning-cases/{dunned.case().id}").json()
        (campaign,) = shown["campaigns"]
        assert (campaign["currency"], campaign["threshold"], campaign["attempts"]) == ("USD", "100.00", 1)
        assert (campaign["max_attempts"], shown["timeline"][0]["began"]) == (2, ["USD"])
        dunned.fail()  # only then it gets worse
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        assert dunned.notices() == ["past_due", "suspended"]
        sound(dunned)

    def test_does_nothing_twice_on_a_day(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            before = dunned.history()
            for hour in (1, 12, 47):
                dunned.on(dunned.start + timedelta(hours=hour))
                assert (dunned.is_due(), dunned.look()) == (False, False)
        assert (dunned.history(), PROCESSOR.of(dunned.id)) == (before, 1)

    def test_takes_in_what_falls_due_later_and_goes_on_as_it_was(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            dunned.owes("1")
            assert dunned.is_due()
            dunned.look()
            assert (len(dunned.case().invoices), len(dunned.attempts())) == (2, 1)
            dunned.day(3)
        assert dunned.attempts() == [("USD", 1, "retried"), ("USD", 2, "retried")]
        assert PROCESSOR.of(dunned.id) == 3

    def test_asks_a_day_later_where_a_payment_that_just_failed_began_it(self) -> None:
        with policy_by(document()):
            dunned = Owing()
            dunned.fail_one(dunned.owes("120"))
            assert (dunned.case().failures, dunned.attempts()) == (1, [])
            dunned.day(2)
        assert dunned.attempts() == [("USD", 1, "retried")]

    def test_passes_over_its_attempts_after_a_hard_decline_until_there_is_a_new_method(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail(HARD)
            dunned.day(2)
        assert dunned.attempts() == [("USD", 1, "retried"), ("USD", 2, "retry_skipped")]
        assert dunned.timeline()[-1]["why"] == "hard_decline"
        dunned.new_method()
        assert PROCESSOR.of(dunned.id) == 2

    def test_is_put_off_by_finance_with_its_attempts(self) -> None:
        with policy_by(document((10, "suspend"))):
            dunned = owing("120")
            dunned.fail()
            assert dunned.finance("extend", days=5).status_code == 200
            dunned.day(3)
            assert len(dunned.attempts()) == 1
            dunned.day(8)
            assert len(dunned.attempts()) == 2
            dunned.fail()
            dunned.day(11)
            assert (dunned.state(), dunned.notices()) == ("past_due", ["past_due"])
            dunned.day(16)
        assert (dunned.state(), dunned.notices()) == ("suspended", ["past_due", "suspended"])

    def test_asks_for_nothing_while_an_exemption_runs(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            assert dunned.finance("exempt", days=5).status_code == 200
            for day in (4, 6):  # and none but when what was left of its days is over, too
                dunned.day(day)
                assert (dunned.look(), len(dunned.attempts())) == (False, 1)
            dunned.day(9)
        assert len(dunned.attempts()) == 2

    def test_ends_where_its_debts_are_given_up(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            assert dunned.finance("move", to="written_off").status_code == 200
            dunned.day(5)
            assert (dunned.state(), len(dunned.attempts()), dunned.case().campaigns) == ("written_off", 1, ())
        sound(dunned)


class TestItsEnd:
    def test_comes_when_it_is_paid_down_below_the_threshold(self) -> None:
        with policy_by(document((0, "suspend"))):
            dunned = owing("110")
            dunned.fail()
            assert dunned.call() == (403, "suspended")
            dunned.pays(dunned.invoices[0], "10.00")  # 100.00 is at the threshold still
            assert dunned.state() == "suspended"
            dunned.pays(dunned.invoices[0], "0.01")
            shown = dunned.made.reader.get(f"/v1/dunning-cases/{dunned.cases()[0].id}").json()
            assert (shown["state"], shown["closing"], shown["campaigns"]) == ("closed", "below_threshold", [])
            assert dunned.call() == (201, None)
            assert dunned.notices() == ["past_due", "suspended"]  # and not that everything is paid
            dunned.day(5)
            assert (dunned.is_due(), len(dunned.attempts())) == (False, 1)
            sound(dunned)
            dunned.owes("0.01")
            dunned.look()
        assert (len(dunned.cases()), dunned.attempts()) == (
            2,
            [("USD", 1, "retried")],
        )  # anew, from the first

    def test_leaves_the_case_open_for_another_currency_and_begins_anew(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            first = dunned.fails_there("EUR", 15_000)
            assert [each.currency for each in dunned.case().campaigns] == ["EUR", "USD"]
            dunned.fails_there("EUR", 14_999, invoice=first)  # a cent of it was paid there
            assert [each.currency for each in dunned.case().campaigns] == ["USD"]
            assert dunned.timeline()[-1]["ended"] == ["EUR"]
            second = dunned.fails_there("EUR", 1)
            assert len(dunned.case().campaigns) == 2
            dunned.paid_there("EUR", 1, invoice=second)
            assert len(dunned.case().campaigns) == 1
            dunned.fails_there("EUR", 1)
            dunned.day(2)
        assert dunned.attempts()[1:] == [("EUR", 1, "retry_skipped"), ("USD", 2, "retried")]
        sound(dunned)

    def test_leaves_what_is_below_to_no_new_method_while_another_currency_goes_on(self) -> None:
        with policy_by(document()):
            dunned = owing("120")
            dunned.fail()
            dunned.fails_there("EUR", 15_000)
            dunned.pays(dunned.invoices[0], "20.01")
            assert [each.currency for each in dunned.case().campaigns] == ["EUR"]
            dunned.new_method()
        assert (PROCESSOR.of(dunned.id), dunned.case().pending) == (1, ())

    def test_is_recovery_only_when_all_its_invoices_are_paid(self) -> None:
        with policy_by(document()):
            dunned = owing("110", "100")
            dunned.fail()
            first, second = dunned.invoices
            dunned.pays(first)
            assert dunned.state() == "past_due"
            dunned.pays(second)
        assert (dunned.state(), dunned.cases()[0].closing) == ("closed", "settled")
        assert dunned.notices() == ["past_due", "recovered"]
        sound(dunned)

    def test_is_no_letter_that_everything_is_paid_while_less_is_overdue_elsewhere(self) -> None:
        with policy_by(document()):
            dunned = owing("110")
            dunned.fails_there("EUR", 1_000)
            dunned.pays(dunned.invoices[0])
            others = "UPDATE dunning_notices SET status = 'superseded' WHERE organization <> %s AND status = 'waiting'"
            write(lambda cur: cur.execute(others, (dunned.id,)))
            send_due([NOTICES])
        statement = "SELECT notice, status FROM dunning_notices WHERE organization = %s ORDER BY notice"
        found = write(lambda cur: cur.execute(statement, (dunned.id,)).fetchall())
        assert found == [("past_due", "superseded"), ("recovered", "superseded")]

    def test_is_found_by_the_timer_where_nobody_said_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with policy_by(document()):
            dunned = owing("110")
            dunned.fail()
            with monkeypatch.context() as forgetful:
                for told in ("due_changed", "payment_settled"):
                    forgetful.setattr(paying, told, lambda cur, **given: None)
                dunned.pays(dunned.invoices[0], "20.00")
            assert dunned.state() == "past_due"
            close_settled()
        assert (dunned.state(), dunned.cases()[0].closing) == ("closed", "below_threshold")


class TestAnotherPolicy:
    def test_leaves_a_case_by_invoice_as_it_was_opened(self) -> None:
        with usual_policy((2, "retry"), (3, "suspend")):
            dunned = owing("5")
        with policy_by(document()):
            dunned.owes("6")
            assert dunned.is_due()
            dunned.look()
            assert len(dunned.case().invoices) == 2
            dunned.day(2)
            dunned.fail()
            dunned.day(3)
        assert (dunned.state(), dunned.case().campaigns) == ("suspended", ())

    def test_leaves_a_campaign_as_it_was_begun_and_takes_over_what_is_below(self) -> None:
        with policy_by(document()) as key:
            dunned, other = owing("120"), owing("99")
            changed = {"policy": document(max_attempts=1, thresholds={"USD": "500.00"})}
            assert platform().patch(f"{POLICIES}/{key}", changed).json()["number"] == 2
            dunned.day(2)
            assert (dunned.case().policy_number, len(dunned.attempts())) == (1, 2)
            assert not other.is_due()
        with usual_policy((2, "retry")):
            assert (other.is_due(), other.look(), other.state()) == (True, True, "past_due")
            assert dunned.look() is False


class TestAPolicy:
    @pytest.mark.parametrize(
        ("given", "code", "pointer", "said"),
        [
            ({"thresholds": None}, "invalid_field", "/thresholds", "at least one currency"),
            ({"thresholds": {}}, "invalid_field", "/thresholds", "at least one currency"),
            ({"thresholds": {"eur": "1.00"}}, "invalid_currency", "/thresholds/eur", "upper-case code"),
            ({"thresholds": {"EUR": "-1.00"}}, "invalid_amount", "/thresholds/EUR", "without sign"),
            ({"thresholds": {"EUR": "0.00"}}, "invalid_amount", "/thresholds/EUR", "more than zero"),
            ({"thresholds": {"EUR": 150}}, "invalid_amount", "/thresholds/EUR", "string"),
            ({"thresholds": {"JPY": "1.50"}}, "invalid_amount", "/thresholds/JPY", "0 decimals"),
            ({"max_attempts": 0}, "invalid_field", "/max_attempts", "from 1 to 40"),
            ({"days_between_attempts": 0}, "invalid_field", "/days_between_attempts", "from 1 to 730"),
            ({"max_attempts": 3, "days_between_attempts": 366}, "invalid_field", "/days_between_attempts", "730"),
            ({"trigger": "balance"}, "invalid_field", "/trigger", "overdue_balance"),
            ({"trigger": "invoice_overdue"}, "invalid_field", "/thresholds", "Only with the trigger"),
            ({"steps": [{"day": 2, "action": "retry"}]}, "invalid_field", "/steps/0", "max_attempts"),
        ],
        ids=[
            "null", "no currency", "lower case", "negative", "zero", "number", "too fine", "no attempt", "no days",
            "too long", "unknown trigger", "by invoice", "retry",
        ],
    )  # fmt: skip
    def test_that_makes_no_sense_is_refused_with_what_to_do(
        self, given: dict[str, Any], code: str, pointer: str, said: str
    ) -> None:
        body = {"key": unique(), "name": "By balance", "policy": {**document(), **given}}
        answer = platform().post(POLICIES, body, key=unique())
        assert answer.status_code == 400
        found = answer.json()["errors"][0]
        assert (found["code"], found["pointer"]) == (code, f"/policy{pointer}")
        assert said in found["detail"]
        assert platform().get(f"{POLICIES}/{body['key']}").status_code == 404

    @pytest.mark.parametrize("name", ["thresholds", "max_attempts", "days_between_attempts"])
    def test_says_what_is_missing(self, name: str) -> None:
        policy = {key: value for key, value in document().items() if key != name}
        body = {"key": unique(), "name": "By balance", "policy": policy}
        answer = platform().post(POLICIES, body, key=unique())
        assert answer.status_code == 400
        assert [each["pointer"] for each in answer.json()["errors"]] == [f"/policy/{name}"]

    def test_is_shown_as_it_was_given_and_by_invoice_unless_said_otherwise(self) -> None:
        with policy_by(document((10, "suspend"))) as key:
            shown = platform().get(f"{POLICIES}/{key}").json()["policy"]
        assert shown["thresholds"] == THRESHOLDS
        assert (shown["trigger"], shown["max_attempts"], shown["days_between_attempts"]) == (
            "overdue_balance", 2, 2,
        )  # fmt: skip
        body = {"policy": {"steps": []}, "due_at": "2027-01-04T12:00:00Z"}
        usual = platform().post(f"{POLICIES}/preview", body).json()["policy"]
        assert (usual["trigger"], "thresholds" in usual) == ("invoice_overdue", False)

    def test_is_tried_before_it_is_saved(self) -> None:
        body = {"policy": document((3, "suspend")), "due_at": "2027-01-04T12:00:00Z"}

        def told(**given: Any) -> list[tuple[int, str, str | None]]:
            answer = platform().post(f"{POLICIES}/preview", {**body, **given})
            assert answer.status_code == 200, answer.content
            timeline = answer.json()["timeline"]
            return [
                (one["day"], one["event"], one["currency"])
                for one in timeline
                if one["event"] != "payment_failed"
            ]

        attempts = [
            (0, "retried", "EUR"),
            (0, "retried", "USD"),
            (2, "retried", "EUR"),
            (2, "retried", "USD"),
        ]
        assert told() == [(0, "opened", None), *attempts, (3, "suspended", None)]
        assert told(overdue={"EUR": "149.99"}) == []
        assert told(overdue={"EUR": "150"}, paid_on_day=1) == [
            (0, "opened", None), (0, "retried", "EUR"), (1, "closed", None),
        ]  # fmt: skip
        wrong = platform().post(f"{POLICIES}/preview", {**body, "overdue": {"EUR": "-1"}})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/overdue/EUR")

    def test_is_shown_in_the_admin_with_its_cases(self) -> None:
        client = staff("view_dunningpolicy", "view_dunningcase")
        with policy_by(document((3, "suspend"))) as key:
            dunned = owing("120")
            policy = platform().get(f"{POLICIES}/{key}").json()["id"]
        page = client.get(f"/admin/billing/dunningpolicy/{policy}/change/").content.decode()
        assert "an overdue balance of 150.00 EUR or 100.00 USD; at most 2 attempts, 2 days apart" in page
        assert "day 2: retried USD" in page
        page = client.get(f"/admin/billing/dunningcase/{dunned.case().id}/change/").content.decode()
        assert "USD: 1 of 2 attempts" in page
