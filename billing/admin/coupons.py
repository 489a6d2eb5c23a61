"""Coupons and their redemptions for the staff; forms and actions call the operations of the API."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.admin.operated import FormAdmin, OperatedForm, area, document
from billing.models import Coupon, CouponRedemption
from billing.operations.coupons import (
    NewCoupon,
    archive_coupon,
    change_coupon,
    create_coupon,
    end_redemption,
    redeem_coupon,
)
from billing.rules.couponterms import CHANGEABLE, parse_terms
from common import fields
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.facts import time_text

MOST = 1_000_000_000
UNTIL = "Until then, exclusive, such as 2027-01-01T00:00:00Z; empty: no end"
EXAMPLE = {"percent": "20", "duration": "periods", "periods": 3}


class CouponChangeForm(OperatedForm):
    """What of a coupon changes; what it takes off stays for ever."""

    name = forms.CharField(max_length=100)
    redeem_by = forms.CharField(required=False, help_text=UNTIL)
    max_redemptions = forms.IntegerField(required=False, help_text="How often at most, by all; empty: any")
    READ: ClassVar = {
        "name": fields.text,
        "redeem_by": fields.instant,
        "max_redemptions": partial(fields.integer, minimum=1, maximum=MOST),
    }

    def known(self, row: Coupon) -> dict[str, Any]:
        """As it is now."""
        return {**{name: getattr(row, name) for name in CHANGEABLE}, "redeem_by": time_text(row.redeem_by)}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Change it; what is left empty has no end and no maximum."""
        changes = {name: self.said.get(name) for name in CHANGEABLE}
        return change_coupon(cur, coupon=str(row.id), changes=changes, author=author).id


class CouponForm(CouponChangeForm):
    """A new coupon."""

    code = forms.CharField(max_length=100, help_text="What customers enter; stays for ever")
    terms = area(
        initial=json.dumps(EXAMPLE),
        help_text='As JSON: percent, or amounts such as {"USD": "10"}; duration once, periods or forever; charges',
    )
    field_order = ("form_key", "code", "name", "terms", "redeem_by", "max_redemptions")
    READ: ClassVar = {**CouponChangeForm.READ, "code": fields.key, "terms": document(parse_terms)}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Make it."""
        return create_coupon(cur, NewCoupon(**self.said), author=author).id


@admin.register(Coupon)
class CouponAdmin(FormAdmin):
    """Coupons."""

    new_form = CouponForm
    changing_form = CouponChangeForm
    list_display = ("code", "name", "terms", "redeem_by", "max_redemptions", "created_at", "archived_at")
    list_filter: ClassVar = (("archived_at", admin.EmptyFieldListFilter),)
    search_fields = ("code", "name", "=id")
    exclude = ("code_folded",)
    actions = ("archive",)

    @admin.action(description="End the chosen coupons; who has one keeps it", permissions=["operate"])
    def archive(self, request: HttpRequest, rows: QuerySet[Coupon]) -> None:
        """End each of them."""
        self.run(
            request, rows, lambda row, author, cur: archive_coupon(cur, coupon=str(row.id), author=author)
        )


class RedemptionForm(OperatedForm):
    """Who gets which coupon."""

    organization = forms.UUIDField(help_text="The customer, by its id")
    coupon = forms.CharField(max_length=100, help_text="Code or id; for everything that takes coupons")
    READ: ClassVar = {"coupon": fields.text}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Redeem it."""
        return redeem_coupon(cur, self.said["organization"], self.said["coupon"], author=author).id


@admin.register(CouponRedemption)
class CouponRedemptionAdmin(FormAdmin):
    """Who has which coupon."""

    new_form = RedemptionForm
    list_display = ("code", "organization", "subscription_id", "terms", "status", "redeemed_at", "ended_at")
    list_filter = ("status",)
    search_fields = ("=code", "=id", "=organization", "=subscription_id")
    actions = ("end",)

    @admin.action(description="End the chosen redemptions", permissions=["operate"])
    def end(self, request: HttpRequest, rows: QuerySet[CouponRedemption]) -> None:
        """Do without each from the next invoice on."""
        self.run(
            request,
            rows,
            lambda row, author, cur: end_redemption(cur, row.organization, row.id, author=author),
        )
