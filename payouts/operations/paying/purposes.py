"""What payouts have the processor do: the purposes of their commands."""

from __future__ import annotations

from billing.operations.commands import Purpose, register_purpose
from payouts.operations.paying import machine, onboarding, settling


def register_all() -> None:
    """This function will register the purposes of the commands of payouts and of partners' accounts."""
    doubt = settling.doubt
    register_purpose(Purpose(onboarding.CREATE, "accounts", "create", onboarding.settle_account))
    register_purpose(
        Purpose(
            machine.TRANSFER,
            "transfers",
            "create",
            settling.settle_transfer,
            check=settling.why_not_transfer,
            doubt=doubt,
        )
    )
    register_purpose(
        Purpose(
            machine.PAYOUT,
            "payouts",
            "create",
            settling.settle_payout,
            check=settling.why_not_payout,
            doubt=doubt,
        )
    )
    register_purpose(Purpose(machine.REVERSAL, "transfers.reversals", "create", settling.settle_reversal))
    register_purpose(Purpose(machine.RECALL, "payouts", "reverse", settling.settle_recall))
