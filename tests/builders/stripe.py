"""The simulator's control API as a typed client: what customers, banks and Stripe itself do in the real world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import stripe

KEY = "sk_test_counterfoil"
SECRET = "whsec_" + "a" * 32
CONNECT_SECRET = "whsec_" + "b" * 32
_HTTP = httpx.Client(timeout=60, verify=False)  # loopback

Outcome = Literal["decline", "authenticate", "asynchronous", "asynchronous_failure", "fee_later"]


@dataclass(frozen=True)
class Simulator:
    """One running simulator. `url` is its base address, the SDK's and the control API's."""

    url: str
    key: str = KEY
    secret: str = SECRET
    connect_secret: str = CONNECT_SECRET

    def sdk(
        self, *, key: str | None = None, retries: int = 0, version: str | None = None
    ) -> stripe.StripeClient:
        """The real SDK, pointed here."""
        return stripe.StripeClient(
            key or self.key,
            base_addresses={"api": self.url},
            max_network_retries=retries,
            stripe_version=version,
            http_client=stripe.RequestsClient(timeout=(5, 30)),
        )

    def post(self, control: str, **given: Any) -> Any:
        """Call the control API; fails on a refusal."""
        answer = _HTTP.post(f"{self.url}/_sim/{control}", json=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, control: str, **given: Any) -> Any:
        answer = _HTTP.get(f"{self.url}/_sim/{control}", params=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # State and time

    def reset(self) -> None:
        """Forget everything; rules, decisions, endpoints and the clock's offset too."""
        self.post("reset")

    def now(self) -> float:
        return float(self.get("clock")["now"])

    def advance(self, seconds: float) -> list[dict[str, Any]]:
        """Let time pass; gives what fell due, in order."""
        return list(self.post("clock", advance=seconds)["happened"])

    # API

    def fail(self, *rules: dict[str, Any]) -> None:
        """Put fault rules in force, in place of those before: dict(kind=, method=, path=regex, nth=, count=,
        probability=, seed=, seconds=, retry_after=, should_retry=)."""
        self.post("faults", rules=list(rules))

    def log(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Every request and delivery attempt so far."""
        return list(self.get("log", after=after)["data"])

    def requests(
        self, method: str | None = None, path: str | None = None, *, key: str | None = None
    ) -> list[dict[str, Any]]:
        """The logged requests, of one method, path and idempotency key if given."""
        return [
            entry
            for entry in self.log()
            if "request" in entry
            and method in (None, entry["method"])
            and path in (None, entry["path"])
            and key in (None, entry["key"])
        ]

    def violations(self) -> list[str]:
        """What differs from Stripe's specification so far."""
        return list(self.get("violations")["data"])

    def forgive(self) -> list[str]:
        """Take back what differed, in a test that asked for something wrong on purpose."""
        return list(self.post("violations", forget=True)["data"])

    # Webhooks

    def register(
        self, url: str, *, connect: bool = False, version: str | None = None, types: Sequence[str] = ("*",)
    ) -> dict[str, Any]:
        """Make a webhook endpoint with the known secret."""
        given: dict[str, Any] = {"url": url, "connect": connect, "enabled_events": list(types)}
        secret = self.connect_secret if connect else self.secret
        return dict(
            self.post("endpoint", **given, secret=secret, **({"api_version": version} if version else {}))
        )

    def deliver(self, *rules: dict[str, Any], **settings: Any) -> None:
        """Say how deliveries are spoiled (rules) and repeated (factor, pauses, disabled_after, senders)."""
        self.post("deliveries", rules=list(rules), **settings)

    def release(self, order: Literal["asis", "random", "reversed"] = "asis") -> int:
        """Send what a rule with `hold` keeps back."""
        return int(self.post("release", order=order)["released"])

    def resend(self, event: str, endpoint: str | None = None) -> int:
        return int(self.post("resend", event=event, endpoint=endpoint)["sent"])

    def drain(self, seconds: float = 20) -> None:
        """Wait until everything that is due is delivered."""
        assert self.post("drain", seconds=seconds)["waiting"] == 0

    def deliveries(self) -> list[dict[str, Any]]:
        return list(self.get("deliveries")["data"])

    # Decisions

    def decide(self, **given: Any) -> Any:
        """Decide one thing; see docs/stripe-simulator.md."""
        return self.post("decide", **given)

    def next_payment(self, customer: str, outcome: Outcome, *, times: int = 1, **more: Any) -> None:
        self.decide(customer=customer, payment=outcome, times=times, **more)

    def seed(self, **given: Any) -> dict[str, Any]:
        """Make a subscription or an invoice, as billing at Stripe would: subscription=dict(customer=, amount=, ...),
        invoice=dict(customer=, amount=, subscription=, status=)."""
        return dict(self.post("seed", **given))

    def dispute(self, charge: str, **told: Any) -> dict[str, Any]:
        return dict(self.decide(charge=charge, dispute=told))

    def close_dispute(self, dispute: str, to: Literal["won", "lost"], **told: Any) -> dict[str, Any]:
        return dict(self.decide(dispute=dispute, to=to, **told))

    def warn(self, charge: str) -> dict[str, Any]:
        return dict(self.decide(charge=charge, warning=True))

    def refund(self, charge: str, amount: int | None = None) -> dict[str, Any]:
        """A refund that staff make in Stripe's dashboard."""
        return dict(self.decide(charge=charge, refund=amount))

    def fund(
        self, amount: int, *, currency: str = "usd", account: str | None = None, **said: str
    ) -> dict[str, Any]:
        """Put money into a balance, available at once; `type` and `category` say what it is, if no top-up."""
        return dict(self.post("fund", amount=amount, currency=currency, account=account, **said))

    def funds(self, account: str | None = None) -> dict[str, dict[str, int]]:
        """currency -> available, pending."""
        return dict(self.get("funds", **({"account": account} if account else {})))
