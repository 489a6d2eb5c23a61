"""Many clients and charges of meters at once over every source: each unit is paid once, in S75's order (B5, S9)."""

import json
import random
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import UUID

from common.errors import ServiceUnavailable
from spend.operations.charging import charge_quantity
from spend.rules.charging import Charged, MeteredCharge
from tests.builders.books import rows
from tests.builders.crowd import Client, crowd
from tests.builders.gate import UNIT, Customer, reserve_body, units
from tests.builders.orgs import AUTHOR, unique, write
from tests.builders.waterfall import make_charge, make_payer
from tests.concurrency.gate.audit import facts_of
from tests.concurrency.gate.payers import Payers
from tests.concurrency.gate.plaincalls import text
from tests.invariants import assert_sound

CLIENTS, EACH = 24, 6
CHARGERS, CHARGES, TRIES = 3, 12, 20


def calls(client: Client, place: int) -> int:
    """Reserve and commit a few times, now and then more than was held; returns what was charged."""
    chance, charged = random.Random(place), 0
    for _ in range(EACH):
        answer = client.post("/v1/reservations", reserve_body("1"), key=unique())
        if answer.status != 201:
            continue
        used = chance.choice((0, UNIT // 3, UNIT, UNIT + 7))
        name = answer.json()["id"]
        body: dict[str, Any] = {"outcome": "completed", "amount": text(used)}
        done = client.post(f"/v1/reservations/{name}/commit", body, key=unique())
        assert done.status == 200, done.body
        charged += used
    return charged


def charging(customer: Customer, charges: list[MeteredCharge], place: int) -> list[Charged]:
    """All of the charges, each caller in an order of its own; a charge that waited too long is made again."""
    mine = random.Random(place).sample(charges, len(charges))
    return [charged(customer, made) for made in mine]


def charged(customer: Customer, made: MeteredCharge) -> Charged:
    for _ in range(TRIES):
        with suppress(ServiceUnavailable):
            return write(
                lambda cur: charge_quantity(cur, organization=customer.id, charge=made, author=AUTHOR)
            )
    raise AssertionError("the organization was locked all the time")


def receipts(customer: Customer) -> dict[str, list[tuple[Any, ...]]]:
    found = rows("SELECT id::text, funding::text FROM usage_records WHERE organization = %s", customer.id)
    return {name: [tuple(part) for part in json.loads(funding)] for name, funding in found}


def test_every_unit_is_paid_once_in_the_order_of_the_waterfall(web: str) -> None:
    customer = make_payer("30", "25.5", "20.00000001", line="40")
    charges = [make_charge("1.25") for _ in range(CHARGES)]
    found: list[Charged] = []

    def work(client: Client, place: int) -> int:
        if place >= CHARGERS:
            return calls(client, place)
        found.extend(charging(customer, charges, place))
        return 0

    spent = sum(crowd(web, customer.api.secret, work, clients=CLIENTS + CHARGERS))
    assert Counter(one.is_new for one in found) == {True: CHARGES, False: CHARGES * (CHARGERS - 1)}
    by_usage: dict[UUID, set[Any]] = {}
    for one in found:
        by_usage.setdefault(one.usage, set()).add(one.receipt)
    assert [len(several) for several in by_usage.values()] == [1] * CHARGES
    payers = Payers()
    for fact in facts_of(customer.id):
        payers.see(fact)
    assert sum(payers.paid.values()) == spent + CHARGES * units("1.25")
    assert receipts(customer) == payers.receipts
    for source, given in (("allowance", "30"), ("commitment", "25.5"), ("credit", "20.00000001")):
        assert 0 < payers.paid[source] <= units(given)  # what came back at last may be left
    assert_sound(customer.id)
