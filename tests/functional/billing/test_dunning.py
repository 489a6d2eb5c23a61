"""A customer does not pay: what follows on which day, and how it ends."""

from tests.builders.dunning import PROCESSOR, in_arrears


class TestTheUsualPolicy:
    def test_goes_from_past_due_to_canceled_and_each_retry_before_its_days_escalation(self) -> None:
        dunned = in_arrears()
        assert (dunned.state(), dunned.call()) == ("past_due", (201, None))
        dunned.on_day(2)
        dunned.on_day(7, fails=False)
        assert dunned.state() == "past_due"  # it waits for the outcome
        dunned.fail()
        assert dunned.state() == "grace"
        dunned.on_day(14)
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        dunned.on_day(21)
        assert (dunned.state(), dunned.call()) == ("canceled", (403, "suspended"))
        assert PROCESSOR.of(dunned.id) == 4
        assert dunned.notices() == ["past_due", "grace", "suspended", "canceled"]
        dunned.pay()
        assert (dunned.state(), dunned.call()) == ("closed", (201, None))
        assert dunned.notices() == ["past_due", "grace", "suspended", "canceled", "recovered"]
        dunned.made.assert_sound()
