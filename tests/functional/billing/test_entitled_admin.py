"""The staff's page of what customers are entitled to: the same as the API's."""

import pytest

from tests.builders.gate import make_customer
from tests.builders.subscribed import fee
from tests.builders.subscriptions import owner, sell, subscribe
from tests.functional.billing.test_subscriptions_admin import staff

pytestmark = pytest.mark.django_db


class TestTheStaff:
    def test_sees_value_source_and_what_the_gate_obeys(self) -> None:
        customer = make_customer("0", funding="postpaid", credit_limit=10**9)
        features = {"allowed_tools": ["pay", "search"], "sso": True}
        plan = sell(fee("30"), features=features, funding="credit_only")
        subscribe(owner(customer.id), plan)
        _, client = staff("view_gateentitlement")
        page = client.get(f"/admin/spend/gateentitlement/?organization={customer.id}")
        assert page.status_code == 200
        (row,) = page.context["cl"].result_list
        shown = client.get(f"/admin/spend/gateentitlement/{row.pk}/change/").content.decode()
        source = f"plan:{plan.plan_key}@1"
        assert f"allowed_tools: pay, search ({source}; the gate obeys)" in shown
        assert f"sso: True ({source}; the customer" in shown
        assert f"credit_only, by {source}" in shown
