"""Types, versions, states and pauses of Stripe's events."""

from datetime import timedelta

import pytest

from webhooks.operations.inbound.routing import ROWS
from webhooks.rules.inbound.judging import MOST_ATTEMPTS, MOST_PARKINGS, parked_for, pause_after
from webhooks.rules.inbound.reading import is_known_version
from webhooks.rules.inbound.routes import GROUP_SIZE, ROUTES, route_of, subject_of, type_groups

# S85, and whatever else moves money or state: type -> (the event's object, kind, id).
TYPES = {
    "payment_intent.succeeded": ({"id": "pi_1"}, "payment", "pi_1"),
    "payment_intent.payment_failed": ({"id": "pi_1"}, "payment", "pi_1"),
    "payment_intent.processing": ({"id": "pi_1"}, "payment", "pi_1"),
    "charge.updated": ({"id": "ch_1", "payment_intent": "pi_1"}, "payment", "pi_1"),
    "charge.captured": ({"id": "ch_1", "payment_intent": {"id": "pi_1"}}, "payment", "pi_1"),
    "charge.succeeded": ({"id": "ch_1", "payment_intent": None}, "charge", "ch_1"),
    "charge.refunded": ({"id": "ch_1", "payment_intent": "pi_1"}, "charge_refunds", "ch_1"),
    "charge.refund.updated": ({"id": "re_1"}, "refund", "re_1"),
    "refund.failed": ({"id": "re_1"}, "refund", "re_1"),
    "charge.dispute.created": ({"id": "dp_1"}, "dispute", "dp_1"),
    "charge.dispute.funds_withdrawn": ({"id": "dp_1"}, "dispute", "dp_1"),
    "charge.dispute.funds_reinstated": ({"id": "dp_1"}, "dispute", "dp_1"),
    "charge.dispute.closed": ({"id": "dp_1"}, "dispute", "dp_1"),
    "radar.early_fraud_warning.created": ({"id": "issfr_1"}, "warning", "issfr_1"),
    "setup_intent.succeeded": ({"id": "seti_1"}, "setup", "seti_1"),
    "payment_method.automatically_updated": ({"id": "pm_1"}, "method", "pm_1"),
    "payment_method.detached": ({"id": "pm_1"}, "method", "pm_1"),
    "customer.updated": ({"id": "cus_1"}, "customer", "cus_1"),
    "customer.deleted": ({"id": "cus_1"}, "customer", "cus_1"),
    "payout.failed": ({"id": "po_1"}, "payout", "po_1"),
    "payout.reconciliation_completed": ({"id": "po_1"}, "payout", "po_1"),
    "transfer.reversed": ({"id": "tr_1"}, "transfer", "tr_1"),
    "account.updated": ({"id": "acct_1"}, "account", "acct_1"),
    "capability.updated": ({"id": "transfers", "account": "acct_1"}, "account", "acct_1"),
    "account.application.deauthorized": ({"id": "ca_1", "account": "acct_1"}, "account", "acct_1"),
    "customer.subscription.created": ({"id": "sub_1"}, "subscription", "sub_1"),
    "customer.subscription.deleted": ({"id": "sub_1"}, "subscription", "sub_1"),
    "invoice.finalized": ({"id": "in_1"}, "invoice", "in_1"),
    "invoice.paid": ({"id": "in_1"}, "invoice", "in_1"),
    "invoice.payment_succeeded": ({"id": "in_1"}, "invoice", "in_1"),
    "invoice.payment_failed": ({"id": "in_1"}, "invoice", "in_1"),
    "invoice.voided": ({"id": "in_1"}, "invoice", "in_1"),
    "invoice_payment.paid": ({"id": "inpay_1", "invoice": "in_1"}, "invoice", "in_1"),
}
LATER = {"account"}
"""Kinds of connected accounts alone: their handlers are of that source."""


class TestAType:
    @pytest.mark.parametrize("name", TYPES)
    def test_names_the_object_that_is_fetched(self, name: str) -> None:
        found, kind, identifier = TYPES[name]
        steps = route_of(name)
        assert steps is not None
        assert subject_of(steps, found) == (kind, identifier)
        assert route_of(f"v1.{name}") == steps

    def test_has_a_handler_of_the_platform_or_is_of_connected_accounts(self) -> None:
        kinds = {kind for steps in ROUTES.values() for _, kind in steps}
        assert kinds - ROWS.keys() == LATER
        assert ROWS.keys() - kinds == set()

    def test_that_is_unknown_names_nothing(self) -> None:
        assert route_of("transfer.paid") is None
        assert route_of("invoice.upcoming") is None

    @pytest.mark.parametrize(
        "wrong", [None, 7, "", {}, {"id": None}, "pi/..", "pi 1", "p" * 256, "pi_é"], ids=repr
    )
    def test_without_an_id_names_nothing(self, wrong: object) -> None:
        assert subject_of((("id", "payment"),), {"id": wrong}) is None

    def test_is_asked_for_in_groups_that_the_list_takes(self) -> None:
        groups = type_groups()
        assert sorted(name for group in groups for name in group) == sorted(ROUTES)
        assert max(len(group) for group in groups) <= GROUP_SIZE


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("2026-10-28.endive", True), ("2025-03-31.basil", True), ("2024-12-18.acacia", True), ("2024-06-20", True),
        ("2020-08-27", True), ("2019-12-03", False), ("2024-12-18", False), ("2027-03-31.fuchsia", False),
        ("2026-10-28.Endive", False), ("latest", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_a_version_is_known_by_its_date_or_release(version: str | None, known: bool) -> None:
    assert is_known_version(version) is known


def test_pauses_grow_and_end_with_the_eighth_attempt() -> None:
    pauses = [pause_after(failures) for failures in range(1, MOST_ATTEMPTS + 1)]
    assert pauses[:3] == [timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=45)]
    assert pauses[-2] == timedelta(seconds=3_645)
    assert pauses[-1] is None


def test_what_is_parked_is_looked_at_for_more_than_a_week() -> None:
    pauses = [parked_for(parkings) for parkings in range(1, MOST_PARKINGS + 1)]
    assert pauses[0] == timedelta(seconds=30)
    assert pauses[-1] is None
    known = [pause for pause in pauses if pause is not None]
    assert known == sorted(known)
    assert max(known) == timedelta(hours=6)
    assert sum(known, timedelta()) > timedelta(days=7)
