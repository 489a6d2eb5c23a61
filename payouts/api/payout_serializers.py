"""What requests about payouts and payout accounts may hold, and what answers show."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from common.api.serializers import (
    AmountField,
    CurrencyField,
    IdField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
    WordField,
)
from payouts.rules.partners import STATUSES
from payouts.rules.paying import batches
from payouts.rules.paying.row import CAUSES, HOLDS
from payouts.rules.paying.states import STATES

LONGEST_ADDRESS: Final = 500
MOST_PARTNERS: Final = 10**6


class PayoutFailureSerializer(serializers.Serializer[Any]):
    """Why it did not reach the bank, in the processor's codes; rejected: by the platform's staff; the code of a hold:
    that hindered its last step."""

    code = TextField()
    message = TextField()


class PayoutHoldSerializer(serializers.Serializer[Any]):
    """What keeps it from being sent."""

    code = WordField(HOLDS)
    detail = TextField(allow_null=True)
    until = InstantField(
        allow_null=True, help_text="When it is looked at again by itself; null: by a person."
    )


class PayoutSerializer(serializers.Serializer[Any]):
    """A payout. Its amount left what can be withdrawn when it was requested, and is there again when it is failed,
    reversed or canceled."""

    id = IdField()
    organization = IdField(help_text="The partner.")
    status = WordField(STATES)
    amount = AmountField()
    currency = CurrencyField()
    cause = WordField(CAUSES)
    batch = IdField(allow_null=True)
    hold = PayoutHoldSerializer(allow_null=True)
    waits_for = TextField(allow_null=True, help_text="balance_insufficient: it is tried again by itself.")
    failure = PayoutFailureSerializer(allow_null=True)
    transfer = TextField(allow_null=True, help_text="The processor's.")
    payout = TextField(allow_null=True, help_text="The processor's, on the partner's account.")
    destination = TextField(allow_null=True, help_text="The bank account, by the processor's id.")
    requested_at = InstantField()
    approved_at = InstantField(allow_null=True)
    sent_at = InstantField(
        allow_null=True, help_text="When the processor moved it to the partner's account, by its clock."
    )
    arrives_at = InstantField(allow_null=True, help_text="When the bank is expected to have it.")
    paid_at = InstantField(allow_null=True, help_text="Paid is not final: the bank may return it days later.")
    ended_at = InstantField(allow_null=True)


class NewPayoutSerializer(StrictSerializer):
    """A payout that is asked for."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    organization = IdField(required=False, help_text="Only for platform keys: the partner.")
    amount = AmountField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Cut down to what reaches a bank account; null: all that can be withdrawn.",
    )
    currency = CurrencyField(required=False, help_text="Needed with an amount: the partner's currency.")


class PayoutReasonSerializer(StrictSerializer):
    """Why."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    reason = TextField(max_length=500)


class PayoutBatchSerializer(serializers.Serializer[Any]):
    """Payouts of all partners, asked for at once."""

    id = IdField()
    status = WordField(
        (batches.OPEN, batches.DONE),
        help_text="done: every partner was asked. open: some are yet to be, or could not be and are asked again.",
    )
    requested_at = InstantField()
    finished_at = InstantField(allow_null=True)
    made = WholeNumberField(minimum=0, maximum=MOST_PARTNERS)
    refused = WholeNumberField(
        minimum=0,
        maximum=MOST_PARTNERS,
        help_text="Partners with too little, or with a payout under way.",
    )


class NewPayoutAccountSerializer(StrictSerializer):
    """Where a partner is paid, and where its person comes back to."""

    id = IdField(read_only=True)
    status = TextField(read_only=True)
    organization = IdField(required=False, help_text="Only for platform keys.")
    country = TextField(max_length=2, help_text="ISO 3166; it cannot be changed once there is an account.")
    return_url = TextField(max_length=LONGEST_ADDRESS, help_text="Where its person comes back to; https.")
    refresh_url = TextField(
        max_length=LONGEST_ADDRESS, help_text="Where its person goes when the address is used up; https."
    )


class PayoutAccountSerializer(serializers.Serializer[Any]):
    """A partner's account at the processor."""

    organization = IdField()
    status = WordField(STATUSES)
    account = TextField(allow_null=True)
    country = TextField(allow_null=True)
    currency = CurrencyField()
    destination = TextField(allow_null=True, help_text="The bank account, by the processor's id.")
    destination_usable_at = InstantField(
        allow_null=True, help_text="No payout goes to a changed bank account before; null: no wait."
    )
    requirements = serializers.ListField(
        child=TextField(), help_text="What the processor waits for, by its names."
    )
    disabled_reason = TextField(allow_null=True)
    onboarding_url = TextField(
        allow_null=True, help_text="For the partner's person; good once and for minutes. Only of a POST."
    )
