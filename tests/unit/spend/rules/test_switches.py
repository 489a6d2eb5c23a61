"""Switches and incidents as plain values: what they may be, and that what is over stays over."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from common.errors import InvalidField, InvalidTransition
from common.ids import new_id
from spend.rules.incidents import Incident, released
from spend.rules.switches import NewSwitch, Switch, check_new, lifted, switched

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=3)


def made(kind: str = "pause", **given: str) -> Switch:
    new = NewSwitch("run", kind, "it loops", "r-1", **given)
    switch, fact = switched(
        new,
        identifier=new_id(),
        organization=new_id(),
        target_id=None,
        target_label="r-1",
        by="key:1",
        at=NOW,
    )
    assert (fact.stream_type, fact.verb, fact.version, dict(fact.data)) == ("switch", "set", 1, switch.data())
    return switch


class TestANewSwitch:
    @pytest.mark.parametrize(
        ("new", "pointer"),
        [
            (NewSwitch("agent", "stop", "x", "bot"), "/kind"),
            (NewSwitch("agent", "kill", "x"), "/target"),
            (NewSwitch("run", "pause", "x"), "/target"),
            (NewSwitch("key", "kill", "x"), "/target"),
            (NewSwitch("platform", "kill", "x", "all"), "/target"),
        ],
    )
    def test_fits_together_or_is_refused(self, new: NewSwitch, pointer: str) -> None:
        with pytest.raises(InvalidField) as refused:
            check_new(new)
        assert [error.pointer for error in refused.value.errors] == [pointer]

    @pytest.mark.parametrize(
        "new",
        [
            NewSwitch("organization", "kill", "x"),
            NewSwitch("platform", "kill", "x"),
            NewSwitch("user", "pause", "x", "u-7"),
            NewSwitch("run", "stop", "x", "r-1"),
        ],
    )
    def test_is_taken_where_it_means_something(self, new: NewSwitch) -> None:
        check_new(new)

    def test_is_live_and_says_who_why_and_when(self) -> None:
        switch = made()
        assert switch.is_live and not switch.is_final
        said = switch.data()
        assert (said["set_by"], said["reason"], said["set_at"]) == (
            "key:1",
            "it loops",
            "2026-03-01T12:00:00Z",
        )
        assert (said["cause"], said["lifted_at"]) == ("manual", None)


class TestLifting:
    def test_says_who_why_and_when_and_what_it_was(self) -> None:
        switch = made()
        new, fact = lifted(switch, by="staff:2", at=LATER, reason="mended")
        assert fact is not None
        assert (fact.verb, fact.version, new.version, new.is_live) == ("lifted", 2, 2, False)
        assert fact.data["changed"] == {
            "lifted_by": [None, "staff:2"],
            "lifted_at": [None, "2026-03-01T12:03:00Z"],
            "lift_reason": [None, "mended"],
        }

    def test_is_done_once(self) -> None:
        new, _ = lifted(made(), by="staff:2", at=LATER, reason="mended")
        assert lifted(new, by="key:3", at=LATER + timedelta(1), reason="again") == (new, None)

    def test_never_revives_a_stopped_run(self) -> None:
        switch = made("stop")
        assert switch.is_final
        with pytest.raises(InvalidTransition):
            lifted(switch, by="key:1", at=LATER, reason="please")

    def test_ends_a_stop_that_only_said_what_it_would_do(self) -> None:
        new, fact = lifted(made("stop", mode="observe"), by="key:1", at=LATER, reason="seen")
        assert fact is not None and not new.is_live


class TestAnIncident:
    INCIDENT = Incident(
        new_id(), new_id(), "loop", "enforce", "pause", "run", None, "r-1", new_id(), None, "r-1", None, None, 7,
        {"repeats": 20}, NOW, LATER,
    )  # fmt: skip

    def test_went_on_from_its_first_call_until_the_rule_acted(self) -> None:
        assert self.INCIDENT.time_to_stop == timedelta(minutes=3)

    def test_is_released_once_with_who_and_why(self) -> None:
        new, fact = released(self.INCIDENT, by="key:1", at=LATER, reason="mended")
        assert fact is not None
        assert (fact.stream_type, fact.verb, fact.version) == ("incident", "released", 2)
        assert fact.organization == UUID(str(self.INCIDENT.organization))
        assert fact.data["changed"]["released_by"] == [None, "key:1"]
        assert released(new, by="key:2", at=LATER, reason="again") == (new, None)
