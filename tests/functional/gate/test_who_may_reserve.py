"""Who may call the gate, and for whom."""

import pytest

from tests.builders.gate import EVERYTHING, Customer, body_of, make_customer, whole_house
from tests.builders.orgs import (
    caller,
    make_agent,
    make_connection,
    make_key,
    write,
)
from tests.functional.gate.test_reserving import code
from tests.invariants import Still, reading


class TestWhoMayCall:
    @pytest.mark.parametrize("field", ["agent", "team", "workflow", "connection"])
    def test_a_foreign_subject_is_answered_like_an_unknown_one(self, field: str) -> None:
        customer, other = make_customer(), whole_house()
        names = {"agent": "bot", "team": "research", "workflow": "weekly", "connection": "main"}
        with reading() as connection:
            row = connection.execute(
                f"SELECT id FROM {field}s WHERE organization = %s AND key = %s", (other.id, names[field])
            ).fetchone()
        assert row is not None
        foreign = str(row[0])
        unknown = foreign[:-4] + ("0000" if foreign[-4:] != "0000" else "1111")
        with Still(customer.id):
            answers = [customer.reserve(subject={field: name}) for name in (foreign, unknown)]
        assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
        first, second = (answer.content.decode() for answer in answers)
        ids = [answer.json()["request_id"] for answer in answers]
        assert first.replace(foreign, "X").replace(ids[0], "R") == second.replace(unknown, "X").replace(
            ids[1], "R"
        )

    def test_a_foreign_reservation_is_answered_like_an_unknown_one(self) -> None:
        customer, other = make_customer(), make_customer()
        foreign = other.reserved()["id"]
        unknown = customer.reserved()["id"][:-4] + "0000"
        calls = (
            lambda name: customer.commit(name, "1"),
            lambda name: customer.release(name),
            lambda name: customer.extend(name, 60),
            lambda name: customer.use("1", reservation=name),
            lambda name: customer.api.get(f"/v1/reservations/{name}"),
        )
        with Still(customer.id), Still(other.id):
            for call in calls:
                answers = [call(name) for name in (foreign, unknown)]
                assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
                bodies = [{**answer.json(), "request_id": ""} for answer in answers]
                assert bodies[0] == bodies[1]

    def test_a_key_of_one_agent_may_not_act_for_another(self) -> None:
        customer = make_customer(agents=())
        bot = make_agent(customer.id, "bot", "Bot")
        make_agent(customer.id, "crawler", "Crawler")
        limited = Customer(customer.id, caller(customer.id, "spend:write", agents=(str(bot.id),)))
        limited.reserved("1")
        with Still(customer.id, decisions=1):
            assert code(limited.reserve("1", subject={"agent": "crawler"})) == (403, "not_permitted")

    def test_a_key_of_one_connection_needs_it(self) -> None:
        customer = make_customer()
        main = make_connection(customer.id)
        limited = Customer(customer.id, caller(customer.id, "spend:write", connections=(str(main.id),)))
        limited.reserved("1", subject={"connection": "main"})
        assert code(limited.reserve("1")) == (403, "not_permitted")

    def test_a_key_that_only_reads_may_not_spend(self) -> None:
        customer = make_customer()
        reader = Customer(customer.id, caller(customer.id, "spend:read"))
        with Still(customer.id):
            assert code(reader.reserve("1")) == (403, "forbidden")

    def test_nobody_without_a_key_may(self) -> None:
        from tests.builders.orgs import Caller

        customer = make_customer()
        with Still(customer.id):
            assert code(Customer(customer.id, Caller("cfk_nothing")).reserve()) == (
                401,
                "invalid_credentials",
            )

    @pytest.mark.parametrize("kind", ["agents", "workflows", "connections"])
    def test_an_archived_subject_may_not(self, kind: str) -> None:
        customer = whole_house()
        names = {"agents": "bot", "workflows": "weekly", "connections": "main"}
        open_before = customer.reserved("1", subject=EVERYTHING)
        caller(customer.id, "admin").post(f"/v1/{kind}/{names[kind]}/archive")
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("1", subject=EVERYTHING)) == (403, "archived")
        body_of(customer.commit(open_before["id"], "1"), 200)  # what is open may settle

    def test_a_closed_organization_may_not(self) -> None:
        from orgs.operations.organizations import close_organization
        from tests.builders.orgs import AUTHOR

        customer = make_customer()
        held = customer.reserved("1")
        write(lambda cur: close_organization(cur, organization=customer.id, author=AUTHOR))
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("1")) == (403, "organization_closed")
        body_of(customer.commit(held["id"], "1"), 200)

    def test_the_key_is_read_anew_each_time(self) -> None:
        customer = make_customer()
        issued = make_key(customer.id, "spend:write")
        from tests.builders.orgs import Caller

        user = Customer(customer.id, Caller(issued.secret))
        user.reserved()
        caller(customer.id, "admin").post(f"/v1/organizations/{customer.id}/api-keys/{issued.key.id}/revoke")
        assert code(user.reserve()) == (401, "invalid_credentials")
