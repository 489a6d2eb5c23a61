"""Records summed in the database are what they are added up one by one: receipts of one part, of several, of none."""

import json
from collections import Counter

from billing.queries.cuts import take_cut
from billing.queries.usage import Record, records_of, usage_sums
from billing.rules.usagelines import SOURCES, UsageSum, digest_of
from events.store import Cursor
from orgs.operations.locks import lock_organization
from tests.builders.gate import make_customer, units
from tests.builders.orgs import write
from tests.property.billing.lineaudit import uses


class TestSumsOfUsage:
    def test_are_those_of_the_records_by_who_paid(self) -> None:
        customer = make_customer("2.5", funding="postpaid", credit_limit=units("100"))
        for amount in ("1", "0", "2", "0.00000001", "3.75"):
            assert customer.use(amount).status_code == 201
        records = uses(customer.id)
        # Credit pays one, then a part of another; one takes nothing; the line pays the rest.
        assert [len(one.funding) for one in records] == [1, 0, 2, 1, 1]

        def read(cur: Cursor) -> tuple[UsageSum, list[Record]]:
            chosen = (None, take_cut(cur, lock_organization(cur, customer.id).now))
            (found,) = usage_sums(cur, organization=customer.id, ranges=[chosen])
            of_line = records_of(cur, organization=customer.id, chosen=chosen, group=found.group, at_once=2)
            return found, list(of_line)

        found, of_line = write(read)
        paid: Counter[str] = Counter(dict.fromkeys(SOURCES, 0))
        for one in records:
            for source, _, amount in one.funding:
                paid[source] += int(amount)
        assert found.funded == paid
        assert (found.calls, found.charge) == (5, units("6.75000001"))
        assert (paid["credit"], paid["postpaid"]) == (units("2.5"), units("4.25000001"))
        assert [json.loads(one.funding) for one in of_line] == [one.funding for one in records]
        assert found.digest != digest_of([0, 0])
