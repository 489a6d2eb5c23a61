"""A difference has a class, an age and somebody who looks after it; what waits too long is counted apart."""

import re
from typing import Any

from django.db import connections

from config.metrics import scrape
from tests.builders.orgs import platform, unique
from tests.builders.reconciling import Day
from tests.functional.reconciliation.test_suspense import strange
from tests.functional.webhooks.test_inbox_admin import staff
from webhooks.rules.reconciling.differences import OVERDUE

PAGE = "/admin/webhooks/reconciliationdifference/"


def overdue() -> float:
    """How many foreign differences the metrics call overdue."""
    found = re.search(
        r'^counterfoil_reconciliation_overdue_differences\{class="foreign"\} (\S+)$',
        scrape().decode(),
        re.MULTILINE,
    )
    return 0.0 if found is None else float(found[1])


def aged(subject: str, than: str) -> None:
    """Let an open difference be a minute older, or younger, than what is overdue."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"UPDATE reconciliation_differences SET first_seen_at = clock_timestamp() - %s {than} interval '1 minute'"
            " WHERE subject = %s AND outcome = 'open'",
            (OVERDUE, subject),
        )


def listed(run: str, **query: str) -> list[Any]:
    """The run's differences."""
    answer = platform().get(f"/v1/reconciliations/{run}/differences", limit="100", **query)
    assert answer.status_code == 200, answer.content
    return list(answer.json()["data"])


class TestADifference:
    def test_has_an_owner_and_an_age_and_is_counted_when_it_is_overdue(self, day: Day) -> None:
        subject, before = strange(day, 4_337)["subject"], overdue()
        (found,) = day.differences("open")
        run, owner = str(found.run), unique("Ada ")
        (shown,) = [each for each in listed(run, is_assigned="false") if each["subject"] == subject]
        assert (shown["assigned_to"], shown["age_seconds"] < 600) == (None, True)
        assert listed(run, assigned_to=owner) == []
        client = staff("view_reconciliationdifference", "change_reconciliationdifference")
        reader = staff("view_reconciliationdifference")
        chosen = {"action": "assign", "_selected_action": str(found.id), "assignee": owner}
        reader.post(PAGE, chosen)
        assert listed(run, assigned_to=owner) == []
        client.post(PAGE, chosen)
        (shown,) = listed(run, assigned_to=owner, is_assigned="true")
        assert (shown["subject"], shown["assigned_to"]) == (subject, owner)
        assert [
            each["subject"] for each in platform().get("/v1/findings", assigned_to=owner).json()["data"]
        ] == [subject]

        aged(subject, "+")
        assert (overdue() - before, listed(run, assigned_to=owner, is_overdue="true")) == (0, [])
        aged(subject, "-")
        assert overdue() - before == 1
        (shown,) = listed(run, assigned_to=owner, is_overdue="true")
        assert shown["age_seconds"] >= OVERDUE.total_seconds()
        for query, is_there in (
            ({"is_overdue": "true"}, True),
            ({"is_overdue": "true", "assigned_to": f"={owner}"}, True),
            ({"assigned_to": ""}, False),
            ({"assigned_to": "=somebody else"}, False),
        ):
            assert (subject in client.get(PAGE, query).content.decode()) is is_there, query

        finding = str(shown["finding"])
        assert (
            platform().post(f"/v1/findings/{finding}/resolve", {"reason": "known"}, key=unique()).status_code
            == 200
        )
        assert (overdue() - before, listed(run, assigned_to=owner, is_overdue="true")) == (0, [])
        day.run()
        assert overdue() == before
        assert subject not in client.get(PAGE, {"is_overdue": "true"}).content.decode()
