"""Connected accounts (Connect): capabilities, requirements, bank accounts, onboarding links."""

from __future__ import annotations

from hashlib import sha256

from sandbox.stripe.listing import Filter, as_list, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import PLATFORM_ID, Body, Call, merged_metadata, new_id, refuse

LINK_SECONDS = 300
ROUTING_NUMBER = "110000000"
_REQUIRED = ["business_profile.url", "external_account", "tos_acceptance.date", "tos_acceptance.ip"]
_LOSSES = "losses{payments:application|stripe}"
_FIELDS = (
    "business_profile:any business_type:company|government_entity|individual|non_profit capabilities:any company:any "
    "individual:any email:str metadata:map settings:any tos_acceptance:any external_account:any "
    "default_currency:str"
)
_NO_REQUIREMENTS: Body = {
    "alternatives": [], "current_deadline": None, "currently_due": [], "disabled_reason": None, "errors": [],
    "eventually_due": [], "past_due": [], "pending_verification": [],
}  # fmt: skip


def _blank(call: Call) -> Body:
    given = call.params
    id, kind = new_id("acct", 16), given.get("type")
    controller = given.get("controller") or {}
    losses = (controller.get("losses") or {}).get("payments") or (
        "stripe" if kind == "standard" else "application"
    )
    dashboard = {"standard": "full", "custom": "none"}.get(kind or "", "express")
    dashboard = (controller.get("stripe_dashboard") or {}).get("type") or dashboard
    payer = (controller.get("fees") or {}).get("payer") or (
        "account" if losses == "stripe" else "application"
    )
    return {
        "id": id, "object": "account", "business_profile": {
            "annual_revenue": None, "estimated_worker_count": None, "mcc": None,
            "minority_owned_business_designation": None, "name": None, "product_description": None,
            "support_address": None, "support_email": None, "support_phone": None, "support_url": None, "url": None},
        "business_type": given.get("business_type"), "capabilities": {}, "charges_enabled": False,
        "controller": {"fees": {"payer": payer}, "is_controller": True, "losses": {"payments": losses},
                       "requirement_collection": controller.get("requirement_collection") or "stripe",
                       "stripe_dashboard": {"type": dashboard}, "type": "application"},
        "country": given.get("country") or "US", "created": call.now,
        "default_currency": given.get("default_currency") or "usd", "details_submitted": False,
        "email": given.get("email") or None, "external_accounts": as_list(
            [], url=f"/v1/accounts/{id}/external_accounts"),
        "future_requirements": dict(_NO_REQUIREMENTS), "metadata": {}, "payouts_enabled": False,
        "requirements": {**_NO_REQUIREMENTS, "currently_due": list(_REQUIRED), "eventually_due": list(_REQUIRED),
                         "disabled_reason": "requirements.past_due", "past_due": list(_REQUIRED)},
        "settings": _settings(losses), "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind or "none", "_access": "open",
    }  # fmt: skip


def _settings(losses: str) -> Body:
    decline = {"avs_failure": False, "cvc_failure": False}
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {"decline_on": decline, "statement_descriptor_prefix": None,
                          "statement_descriptor_prefix_kana": None, "statement_descriptor_prefix_kanji": None},
        "dashboard": {"display_name": None, "timezone": "Etc/UTC"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "never"},
        "payments": {"statement_descriptor": None, "statement_descriptor_kana": None,
                     "statement_descriptor_kanji": None},
        "payouts": {"debit_negative_balances": losses == "application", "statement_descriptor": None,
                    "schedule": {"delay_days": 2, "interval": "manual"}},
        "sepa_debit_payments": {},
    }  # fmt: skip


def _merged(old: Body, new: Body) -> Body:
    """What is said, in what is there, at every level."""
    both = {
        name: _merged(old[name], new[name]) for name in new if isinstance(new[name], dict) and old.get(name)
    }
    return {**old, **new, **both}


def _change(call: Call, account: Body) -> None:
    given = call.params
    for name in ("business_profile", "settings", "tos_acceptance"):
        if given.get(name):
            account[name] = _merged(account[name], given[name])
    for name in ("email", "business_type", "default_currency"):
        if name in given:
            account[name] = given[name] or None
    for name, wanted in (given.get("capabilities") or {}).items():
        if wanted.get("requested") == "true":
            account["capabilities"].setdefault(name, "active" if account["details_submitted"] else "inactive")
    if "metadata" in given:
        account["metadata"] = merged_metadata(account["metadata"], given["metadata"])


@route(
    "POST",
    "/v1/accounts",
    f"type:custom|express|standard country:str controller{{fees{{payer:account|application}} {_LOSSES} "
    f"requirement_collection:application|stripe stripe_dashboard{{type:express|full|none}}}} {_FIELDS}",
)
def create(call: Call) -> Body:
    account = _blank(call)
    _change(call, account)
    call.add(account)
    if call.params.get("external_account"):
        account = _add_bank(call, account, call.params["external_account"])[0]
    _tell(call, account, "account.updated")
    return account


def _tell(call: Call, account: Body, event: str, previous: Body | None = None) -> None:
    """What happens to a connected account is an event of that account."""
    call.on(account["id"]).emit(event, account, previous=previous)


def save_account(call: Call, account: Body) -> Body:
    """Store a changed account and tell of it, also of each capability that changed."""
    before = call.get("account", account["id"])
    if before == account:
        return account
    call.world.store.save(account)
    _tell(call, account, "account.updated", previous=before)
    for name, status in account["capabilities"].items():
        if before["capabilities"].get(name) != status:
            call.on(account["id"]).emit("capability.updated", capability(call, account, name))
    return account


def capability(call: Call, account: Body, name: str) -> Body:
    """Return a capability as an object."""
    status = account["capabilities"][name]
    return {
        "id": name, "object": "capability", "account": account["id"], "requested": True, "requested_at": call.now,
        "requirements": dict(_NO_REQUIREMENTS), "future_requirements": dict(_NO_REQUIREMENTS), "status": status,
    }  # fmt: skip


@route("GET", "/v1/accounts", paged("created:range"))
def index(call: Call) -> Body:
    return listed(call, "account", "/v1/accounts", Filter().between("created", call.params.get("created")))


@route("GET", "/v1/account")
def own(call: Call) -> Body:
    if call.account:
        return call.on("").get("account", call.account)
    return {**_blank(call), "id": PLATFORM_ID, "charges_enabled": True, "payouts_enabled": True,
            "details_submitted": True, "type": "standard", "requirements": _NO_REQUIREMENTS}  # fmt: skip


@route("GET", "/v1/accounts/{id}")
def retrieve(call: Call, id: str) -> Body:
    if call.account and id != call.account:
        raise refuse(f"No such account: '{id}'", code="resource_missing", param="account")
    return call.on("").get("account", id)


@route("POST", "/v1/accounts/{id}", _FIELDS)
def update(call: Call, id: str) -> Body:
    account = call.get("account", id)
    _change(call, account)
    account = save_account(call, account)
    if call.params.get("external_account"):
        account = _add_bank(call, account, call.params["external_account"])[0]
    return account


@route("DELETE", "/v1/accounts/{id}")
def delete(call: Call, id: str) -> Body:
    call.get("account", id)
    call.world.store.remove(id)
    return {"id": id, "object": "account", "deleted": True}


@route("POST", "/v1/account_links",
       "account:str! type:account_onboarding|account_update! refresh_url:str return_url:str collect:str "
       "collection_options:any")  # fmt: skip
def link(call: Call) -> Body:
    account = call.get("account", call.params["account"], param="account")
    return {"object": "account_link", "created": call.now, "expires_at": call.now + LINK_SECONDS,
            "url": f"https://connect.stripe.com/setup/s/{account['id']}/{new_id('s')[2:]}"}  # fmt: skip


# Bank accounts


def _add_bank(call: Call, account: Body, given: str | Body) -> tuple[Body, Body]:
    """Give the account a bank account; returns both."""
    if isinstance(given, str):
        given = {"country": "US", "currency": "usd", "account_number": "000123456789",
                 "routing_number": ROUTING_NUMBER}  # fmt: skip
    number = given.get("account_number", "")
    if not number:
        raise refuse("Missing required param: external_account[account_number].", code="parameter_missing",
                     param="external_account[account_number]")  # fmt: skip
    known = account["external_accounts"]["data"]
    currency = given.get("currency") or account["default_currency"]
    bank = call.add({
        "id": new_id("ba"), "object": "bank_account", "account": account["id"],
        "account_holder_name": given.get("account_holder_name"),
        "account_holder_type": given.get("account_holder_type"), "account_type": None,
        "available_payout_methods": ["standard"], "bank_name": "STRIPE TEST BANK",
        "country": given.get("country") or "US", "currency": currency,
        "default_for_currency": not any(one["currency"] == currency for one in known),
        "fingerprint": sha256(number.encode()).hexdigest()[:16], "future_requirements": None, "last4": number[-4:],
        "metadata": {}, "requirements": None, "routing_number": given.get("routing_number"), "status": "new",
        "_number": number,
    })  # fmt: skip
    account = _with_banks(call, account)
    call.on(account["id"]).emit("account.external_account.created", bank)
    return account, bank


def _with_banks(call: Call, account: Body) -> Body:
    banks = call.world.store.select(
        account="",
        kind="bank_account",
        where="AND json_extract(body, '$.account') = ?",
        values=(account["id"],),
    )
    return save_account(
        call, {**account, "external_accounts": {**account["external_accounts"], "data": banks}}
    )


@route(
    "POST",
    "/v1/accounts/{id}/external_accounts",
    "external_account:any! default_for_currency:bool metadata:map",
)
def add_bank(call: Call, id: str) -> Body:
    account, bank = _add_bank(call, call.get("account", id), call.params["external_account"])
    bank["metadata"] = merged_metadata({}, call.params.get("metadata"))
    if call.params.get("default_for_currency"):
        return _make_default(call, account, bank)
    call.world.store.save(bank)
    return bank


def _make_default(call: Call, account: Body, bank: Body) -> Body:
    for other in account["external_accounts"]["data"]:
        if other["currency"] == bank["currency"]:
            call.world.store.save({**other, "default_for_currency": False})
    bank = {**bank, "default_for_currency": True}
    call.world.store.save(bank)
    _with_banks(call, account)
    return bank


@route("GET", "/v1/accounts/{id}/external_accounts", paged("object:bank_account|card"))
def banks(call: Call, id: str) -> Body:
    call.get("account", id)
    return listed(call, "bank_account", f"/v1/accounts/{id}/external_accounts", Filter().equal("account", id))


def _bank(call: Call, account: str, bank: str) -> Body:
    found = call.get("bank_account", bank)
    if found["account"] != account:
        raise refuse(f"No such external account: '{bank}'", code="resource_missing", param="id")
    return found


@route("GET", "/v1/accounts/{id}/external_accounts/{bank}")
def bank(call: Call, id: str, bank: str) -> Body:
    return _bank(call, id, bank)


@route("POST", "/v1/accounts/{id}/external_accounts/{bank}",
       "default_for_currency:bool metadata:map account_holder_name:str")  # fmt: skip
def update_bank(call: Call, id: str, bank: str) -> Body:
    found = _bank(call, id, bank)
    if "metadata" in call.params:
        found["metadata"] = merged_metadata(found["metadata"], call.params["metadata"])
    if "account_holder_name" in call.params:
        found["account_holder_name"] = call.params["account_holder_name"] or None
    if call.params.get("default_for_currency"):
        found = _make_default(call, call.get("account", id), found)
    call.world.store.save(found)
    _with_banks(call, call.get("account", id))
    call.on(id).emit("account.external_account.updated", found)
    return found


@route("DELETE", "/v1/accounts/{id}/external_accounts/{bank}")
def delete_bank(call: Call, id: str, bank: str) -> Body:
    found = _bank(call, id, bank)
    if found["default_for_currency"] and len(call.get("account", id)["external_accounts"]["data"]) > 1:
        raise refuse("You cannot delete the default external account for your default currency.")
    call.world.store.remove(bank)
    _with_banks(call, call.get("account", id))
    call.on(id).emit("account.external_account.deleted", found)
    return {"id": bank, "object": "bank_account", "deleted": True, "currency": found["currency"]}


# What the control API decides


def onboard(call: Call, account: Body) -> Body:
    """The person has answered everything: capabilities become active, payouts and charges are enabled."""
    active = dict.fromkeys(account["capabilities"] or {"transfers": ""}, "active")
    return save_account(call, {
        **account, "capabilities": active, "charges_enabled": True, "payouts_enabled": True,
        "details_submitted": True, "requirements": dict(_NO_REQUIREMENTS), "_access": "open",
    })  # fmt: skip


def restrict(call: Call, account: Body, *, reason: str, due: list[str]) -> Body:
    """Stripe wants something: nothing may be paid out or written under the account until it is there."""
    wanted = {**_NO_REQUIREMENTS, "currently_due": due, "past_due": due, "eventually_due": due,
              "disabled_reason": reason}  # fmt: skip
    return save_account(call, {**account, "payouts_enabled": False, "charges_enabled": False, "requirements": wanted,
                               "_access": "read"})  # fmt: skip


def set_capability(call: Call, account: Body, name: str, status: str) -> Body:
    """A capability becomes active, inactive or pending."""
    return save_account(call, {**account, "capabilities": {**account["capabilities"], name: status}})


def deauthorize(call: Call, account: Body) -> Body:
    """The account's owner has cut the platform off: every call on it is refused (403)."""
    call.on(account["id"]).emit(
        "account.application.deauthorized",
        {"id": "ca_counterfoil", "object": "application", "name": "Counterfoil"},
    )
    account = {**account, "_access": "none"}
    call.world.store.save(account)
    return account
