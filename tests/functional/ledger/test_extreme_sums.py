"""One customer's absurd amounts stay that customer's trouble: what reads everybody's books goes on."""

from tests.builders.books import one
from tests.builders.gate import body_of, make_customer

MOST = 2**63 - 1
MOST_WRITTEN = "92233720368.54775807"


def test_a_sum_beyond_a_bigint_does_not_fail_the_view_of_balances() -> None:
    customer = make_customer("10")
    for amount in (MOST_WRITTEN, "9"):
        body_of(customer.use(amount), 201)
    revenue = one(
        "SELECT posted FROM v_balances WHERE organization = %s AND account_kind = 'revenue'", customer.id
    )
    assert revenue == MOST
