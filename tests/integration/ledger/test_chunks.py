"""What a rebuild's chunk of events adds up to may be more than a bigint holds, where no row keeps the sum."""

from uuid import UUID

from common.transactions import run_in_transaction
from ledger.projections import UPDATE_ACCOUNTS
from tests.builders.ledger import account, make_books, posted

MOST = 2**63 - 1


def test_an_account_without_a_limit_takes_any_sum_of_a_chunk() -> None:
    organization = make_books()
    revenue: UUID = account(organization, "revenue")
    run_in_transaction(lambda cur: cur.execute(UPDATE_ACCOUNTS, [[revenue], [2 * MOST], [0], [0]]))
    assert posted(organization, "revenue") == 0
