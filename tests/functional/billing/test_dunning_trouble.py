"""A customer whose dunning cannot go on: tried ever later, parked with one finding, resumed; nobody else waits."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.operations.dunning.due import advance_customers, claim_due
from billing.operations.parking import FAILURES_BEFORE_PARKING
from config.metrics import scrape
from tests.builders.dunning import DAY, Dunned, in_arrears, owing_again
from tests.builders.orgs import caller, make_organization, platform, unique, write
from tests.builders.simulated import move_to

# What an older version, or a hand in the database, may have left: a step that the machine does not know.
_UNREADABLE = """
UPDATE dunning_cases SET policy = jsonb_set(policy, '{steps,0,action}', '"telephone"') WHERE id = %s
"""
_MENDED = "UPDATE dunning_cases SET policy = jsonb_set(policy, '{steps,0,action}', '\"retry\"') WHERE id = %s"
_LATER = "UPDATE dunning_claims SET failed_at = failed_at - %s::interval WHERE organization = %s"


@pytest.fixture
def broken() -> Iterator[Dunned]:
    """A customer whose step of day 2 is due, in a case that no step can read."""
    dunned = in_arrears(has_method=False)
    case = dunned.case()
    move_to(dunned.id, case.anchor_at + 2 * DAY)
    write(lambda cur: cur.execute(_UNREADABLE, (case.id,)))
    yield dunned
    write(lambda cur: cur.execute(_MENDED, (case.id,)))
    dunned.made.assert_sound()


def mended(dunned: Dunned) -> None:
    """Its case can be read again."""
    write(lambda cur: cur.execute(_MENDED.replace("id = %s", "organization = %s"), (dunned.id,)))


def is_due(dunned: Dunned) -> bool:
    """Whether the timer would hand it out now; it does not."""
    claimed = write(claim_due)
    if claimed:
        give_back = (
            "UPDATE dunning_claims SET claimed_at = NULL WHERE organization = ANY(%s) AND failures >= 0"
        )
        write(lambda cur: cur.execute(give_back, (claimed,)))
    return dunned.id in claimed


def pass_pause(dunned: Dunned, seconds: int) -> None:
    """So many seconds pass since it failed."""
    write(lambda cur: cur.execute(_LATER, (f"{seconds} seconds", dunned.id)))


def fail_until_parked(dunned: Dunned) -> None:
    """It is handed out and fails, again and again."""
    for _ in range(FAILURES_BEFORE_PARKING):
        assert advance_customers([dunned.id]) == 0


def run_of(dunned: Dunned, **query: Any) -> dict[str, Any] | None:
    """How its run is shown."""
    found = platform().get("/v1/dunning-runs", limit="100", **query).json()["data"]
    return next((one for one in found if one["organization"] == str(dunned.id)), None)


def findings_of(dunned: Dunned, status: str) -> list[dict[str, Any]]:
    """Its findings of this kind."""
    query = {"organization": str(dunned.id), "kind": "dunning_stopped", "status": status}
    found: list[dict[str, Any]] = platform().get("/v1/findings", **query).json()["data"]
    return found


def parked_of_metrics() -> float:
    """What the metrics say."""
    lines = scrape().decode().splitlines()
    return float(
        next(one for one in lines if one.startswith("counterfoil_dunning_parked_customers ")).split()[1]
    )


class TestACustomerThatFails:
    def test_is_tried_again_after_ever_longer_pauses(self, broken: Dunned) -> None:
        assert is_due(broken)
        for failures in range(1, FAILURES_BEFORE_PARKING):
            assert advance_customers([broken.id]) == 0
            shown = run_of(broken)
            assert shown is not None
            assert (shown["status"], shown["failures"]) == ("retrying", failures)
            assert not is_due(broken)
            pass_pause(broken, 10 * 2**failures - 5)
            assert not is_due(broken)
            pass_pause(broken, 6)
            assert is_due(broken)
        assert findings_of(broken, "open") == []

    def test_is_parked_with_one_finding_and_seen_in_api_and_metrics(self, broken: Dunned) -> None:
        before = parked_of_metrics()
        fail_until_parked(broken)
        shown = run_of(broken, parked="true")
        assert shown is not None
        assert (shown["status"], shown["failures"]) == ("parked", 5)
        assert "InvalidField" in shown["last_error"]
        assert parked_of_metrics() == before + 1
        pass_pause(broken, 100_000)
        assert not is_due(broken)
        assert advance_customers([broken.id]) == 0  # a message that came late
        (finding,) = findings_of(broken, "open")
        assert finding["subject"] == str(broken.id)
        assert "InvalidField" in finding["detail"]["last_error"]

    def test_stops_nobody_else_of_its_job(self, broken: Dunned) -> None:
        sound = in_arrears(has_method=False)
        move_to(sound.id, sound.case().anchor_at + 2 * DAY)
        assert advance_customers([broken.id, sound.id]) == 1
        assert sound.history()[-1] == "retry_skipped"
        assert run_of(sound) is None

    def test_goes_on_once_it_is_resumed_and_its_finding_ends(self, broken: Dunned) -> None:
        fail_until_parked(broken)
        mended(broken)
        pass_pause(broken, 100_000)
        assert not is_due(broken)  # a person decides
        path = f"/v1/dunning-runs/{broken.id}/resume"
        answer = platform().post(path, None, key=unique())
        assert (answer.status_code, answer.json()["failures"]) == (200, 0)
        assert len(findings_of(broken, "open")) == 1
        assert is_due(broken)
        assert advance_customers([broken.id]) == 1
        assert broken.history()[-1] == "retry_skipped"
        assert (findings_of(broken, "open"), len(findings_of(broken, "resolved"))) == ([], 1)
        assert run_of(broken) is None
        assert platform().post(path, None, key=unique()).status_code == 404

    @pytest.mark.parametrize("how", ["paid", "let be"])
    def test_is_none_any_more_when_its_case_closes_and_its_next_debt_is_dunned_for(
        self, how: str, broken: Dunned
    ) -> None:
        fail_until_parked(broken)
        mended(broken)
        if how == "paid":
            broken.pay()
        else:
            assert broken.finance("move", to="closed").status_code == 200
        assert (broken.state(), run_of(broken)) == ("closed", None)
        assert (findings_of(broken, "open"), len(findings_of(broken, "resolved"))) == ([], 1)
        owing_again(broken)
        broken.on(broken.due_at(1))
        move_to(broken.id, broken.case().anchor_at + 2 * DAY)
        assert is_due(broken)
        assert advance_customers([broken.id]) == 1

    def test_goes_on_when_a_person_resolves_its_finding(self, broken: Dunned) -> None:
        fail_until_parked(broken)
        mended(broken)
        (finding,) = findings_of(broken, "open")
        path = f"/v1/findings/{finding['id']}/resolve"
        assert caller(broken.id, "admin").post(path, {"reason": "x"}, key=unique()).status_code == 403
        assert run_of(broken, parked="true") is not None
        assert platform().post(path, {"reason": "It is moot"}, key=unique()).status_code == 200
        assert (run_of(broken), is_due(broken)) == (None, True)
        assert advance_customers([broken.id]) == 1
        assert broken.history()[-1] == "retry_skipped"

    def test_is_resumed_once_under_one_key_and_by_the_platform_alone(self, broken: Dunned) -> None:
        fail_until_parked(broken)
        path = f"/v1/dunning-runs/{broken.id}/resume"
        for stranger in (caller(make_organization(), "admin"), caller(broken.id, "admin")):
            refused = stranger.post(path, None, key=unique())
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
            assert stranger.get("/v1/dunning-runs").status_code == 403
        assert run_of(broken, parked="true") is not None
        key = unique()
        first, second = (platform().post(path, None, key=key) for _ in range(2))
        assert (first.status_code, first.json()) == (200, second.json())
        assert run_of(broken) is None
