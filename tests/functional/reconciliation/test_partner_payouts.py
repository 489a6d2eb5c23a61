"""What partners were paid is known to the nightly run: no transfer of ours is money that nobody knows (S108)."""

from tests.builders.payouts import partner
from tests.builders.reconciling import Day, settle, suspense


def test_a_transfer_of_ours_stands_behind_its_row_of_the_balance(day: Day) -> None:
    before = suspense()
    made = partner(day.simulator, cents=5_000)
    made.paid()
    settle()
    (transfer,) = made.transfers()

    run = day.run("partner_payouts", "balance_rows", "items")

    assert run.error is None
    assert run.done["partner_payouts"]["compared"] >= 2  # the transfer and the payout
    assert [one for one in day.differences("open") if transfer.id in one.subject] == []
    assert made.money() == {"processor_clearing": 5_000}
    assert suspense() == before
