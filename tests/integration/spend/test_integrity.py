"""The checks of `verify_ledger` on what the gate wrote: silent on the truth, and each finds what it is for."""

import psycopg
import pytest

from common.transactions import run_in_transaction
from events.operations.advance import advance_subscriber
from spend.queries.integrity import STATEMENTS, Violation, violations
from tests.builders.spend import Spender, spender
from tests.database import Session


def found(acme: Spender) -> list[Violation]:
    return run_in_transaction(lambda cur: list(violations(cur, organization=acme.organization)))


def busy() -> Spender:
    """An organization with every end of a reservation, and with one that is active."""
    acme = spender()
    acme.budget()
    acme.budget(scope="agent", window="rolling", rolling_seconds=60)
    acme.call("1", subject={"run": "r-1"})
    acme.commit(acme.reserve("0.5", subject={"run": "r-1"}).json()["id"], "0.75")
    released = acme.reserve("1", subject={"run": "child", "parent_run": "r-1"}).json()["id"]
    acme.client.post(f"/v1/reservations/{released}/release", {}, key="x")
    acme.reserve("1.25", subject={"run": "r-1"})
    acme.reserve("9")
    return acme


class TestTheChecks:
    def test_find_nothing_in_what_the_gate_wrote(self) -> None:
        assert found(busy()) == []

    def test_have_names_of_their_own(self) -> None:
        names = [name for _, name, _ in STATEMENTS]
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize(
        ("tampering", "invariants"),
        [
            ("UPDATE budget_counters SET held = held + 1", {"L4"}),
            ("UPDATE budget_counters SET spent = spent + 1", {"S1"}),
            ("UPDATE runs SET held = held + 1", {"L4"}),
            ("UPDATE runs SET tokens = tokens + 1", {"S7"}),
            ("UPDATE reservations SET held = held + 1 WHERE status = 'active' AND", {"L4", "S2"}),
            ("UPDATE reservations SET charged = charged + 1 WHERE status = 'committed' AND", {"S5"}),
            ("UPDATE reservations SET status = 'released' WHERE status = 'committed' AND", {"S5"}),
            ("UPDATE usage_hourly SET charge = charge + 1", {"S7"}),
            ("UPDATE usage_hourly SET max_charge = max_charge + 1", {"S7"}),
            ("UPDATE usage_records SET funding = '[]'", {"S9"}),
            ("UPDATE usage_records SET cost = cost + 1", {"S6", "S7"}),
            # Another source, the same grant; the same source, another grant; and two parts instead of one.
            (
                "UPDATE usage_records SET funding = replace(funding::text, 'credit', 'allowance')::json",
                {"S9"},
            ),
            (
                "UPDATE usage_records SET funding = replace(funding::text, funding->0->>1, organization::text)::json",
                {"S9"},
            ),
            (
                "UPDATE usage_records SET funding = json_build_array(json_build_array('postpaid', NULL, charge))",
                {"S9"},
            ),
            ("UPDATE credit_grants SET funding_source = 'commitment'", {"S9"}),
            ("UPDATE reservations SET funding = replace(funding, 'credit', 'commitment')", {"S9"}),
            ("UPDATE usage_records SET agent_id = NULL", {"B1", "S7"}),
        ],
    )
    def test_name_what_was_tampered_with(
        self, test_session: Session, tampering: str, invariants: set[str]
    ) -> None:
        acme = busy()
        where = f" {'' if tampering.endswith('AND') else 'WHERE'} organization = %s"
        url = test_session.databases.superuser_url(test_session.name)
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")
            cur = connection.cursor()
            cur.execute(tampering + where, (acme.organization,))
            wrong = list(violations(cur, organization=acme.organization))
            connection.rollback()
        assert {violation.invariant for violation in wrong} == invariants
        assert {violation.organization for violation in wrong} == {acme.organization}

    @pytest.mark.parametrize("dimension", ["user", "run", "tool"])
    def test_compare_the_finer_rollups_with_the_hourly_ones(
        self, test_session: Session, dimension: str
    ) -> None:
        acme = busy()
        url = test_session.databases.superuser_url(test_session.name)
        with psycopg.connect(url, autocommit=True) as connection:
            cur = connection.cursor()
            for _ in range(200):
                advance_subscriber(name="spend.usage_daily_fine")
                cur.execute(
                    "SELECT sum(calls) FROM usage_daily_fine WHERE organization = %s", (acme.organization,)
                )
                if cur.fetchone() == (6,):
                    break
            assert found(acme) == []
            with connection.transaction(force_rollback=True):
                where = "WHERE organization = %s AND dimension = %s"
                cur.execute(
                    f"UPDATE usage_daily_fine SET charge = charge + 1 {where}", (acme.organization, dimension)
                )
                wrong = list(violations(cur, organization=acme.organization))
        assert [(v.invariant, v.subject.rsplit(" ", 1)[1]) for v in wrong] == [("S7", dimension)]
