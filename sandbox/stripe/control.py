"""The control API under /_sim/: what tests and the demo use to make things happen. Stripe has nothing like it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.stripe import decide
from sandbox.stripe.delivery import Deliveries, DeliverySettings, rules_of
from sandbox.stripe.due import advance, do_due
from sandbox.stripe.errors import StripeError
from sandbox.stripe.faults import Fault
from sandbox.stripe.money import funds, move
from sandbox.stripe.resources.webhook_endpoints import make_endpoint, new_secret, roll_secret
from sandbox.stripe.server import Api
from sandbox.stripe.world import Body, Call, Settings

Answerer = Callable[[Body], Awaitable[Any]]


class Control:
    """Every call answers JSON; what is not understood is a 400 that says why."""

    def __init__(self, api: Api, deliveries: Deliveries) -> None:
        self.api = api
        self.world = api.world
        self.deliveries = deliveries
        self._table: dict[tuple[str, str], Answerer] = {
            ("POST", "reset"): self.reset, ("POST", "seed"): self.seed, ("GET", "health"): self.health,
            ("GET", "clock"): self.clock, ("POST", "clock"): self.clock,
            ("GET", "faults"): self.faults, ("POST", "faults"): self.faults,
            ("GET", "deliveries"): self.list_deliveries, ("POST", "deliveries"): self.settings,
            ("POST", "release"): self.release, ("POST", "resend"): self.resend, ("POST", "drain"): self.drain,
            ("POST", "decide"): self.decide, ("POST", "endpoint"): self.endpoint, ("POST", "roll"): self.roll,
            ("POST", "fund"): self.fund, ("GET", "funds"): self.funds, ("GET", "log"): self.log,
            ("GET", "violations"): self.violations, ("POST", "violations"): self.violations,
        }  # fmt: skip

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one control call."""
        answerer = self._table.get((request.method, request.path.removeprefix("/_sim/")))
        if answerer is None:
            return _json({"error": "no such control"}, 404)
        body = await request.read()
        try:
            given = {**request.query, **(msgspec.json.decode(body) if body else {})}
            return _json(await answerer(given))
        except StripeError as error:
            return _json(error.envelope(), error.status)
        except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    async def reset(self, given: Body) -> Body:
        """Forget everything, rules and decisions too; the clock shows the real time again."""
        self.world.store.empty()
        self.world.clock.offset = 0.0
        self.world.settings = Settings(key=self.world.settings.key)
        self.api.faults.rules = []
        self.api.violations.clear()
        self.deliveries.settings = DeliverySettings()
        return {}

    async def clock(self, given: Body) -> Body:
        """Tell the time; `advance` seconds, or go `to` a time, and tell what happened meanwhile."""
        happened: list[Body] = []
        if "advance" in given or "to" in given:
            to = float(given["to"]) if "to" in given else self.world.clock.now() + float(given["advance"])
            with self.world.store.transaction():
                happened = advance(self.world, to=to)
        return {"now": self.world.clock.now(), "happened": happened}

    async def faults(self, given: Body) -> Body:
        """Put these rules in place of those before; without `rules` tell them."""
        if "rules" in given:
            self.api.faults.rules = [Fault(**rule) for rule in given["rules"]]
        return {"rules": [rule.shown() for rule in self.api.faults.rules]}

    async def settings(self, given: Body) -> Body:
        """Say how deliveries are spoiled and repeated; what is not named goes back to its default."""
        if "rules" in given:
            given["rules"] = rules_of(given["rules"])
        if "pauses" in given:
            given["pauses"] = tuple(given["pauses"])
        self.deliveries.settings = DeliverySettings(**given)
        return {}

    async def list_deliveries(self, given: Body) -> Body:
        rows = self.world.store.db.execute(
            "SELECT d.id, d.event, d.endpoint, d.state, d.attempts, d.due, json_extract(o.body, '$.type') "
            "FROM deliveries d JOIN objects o ON o.id = d.event ORDER BY d.id"
        )
        names = ("id", "event", "endpoint", "state", "attempts", "due", "type")
        return {"data": [dict(zip(names, row, strict=True)) for row in rows]}

    async def release(self, given: Body) -> Body:
        return {"released": self.deliveries.release(order=given.get("order", "asis"))}

    async def resend(self, given: Body) -> Body:
        return {"sent": self.deliveries.resend(given["event"], given.get("endpoint"))}

    async def drain(self, given: Body) -> Body:
        """Wait until nothing that is due is unsent, `seconds` at most."""
        deadline = time.monotonic() + float(given.get("seconds", 10))
        while (waiting := self.deliveries.waiting()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return {"waiting": waiting}

    async def decide(self, given: Body) -> Any:
        with self.world.store.transaction():
            do_due(self.world)
            return decide.decide(Call(self.world), given)

    async def seed(self, given: Body) -> Any:
        with self.world.store.transaction():
            return decide.seed(Call(self.world), given)

    async def fund(self, given: Body) -> Any:
        """Put money into a balance, available at once, as a top-up does; or as what `type` and `category` say."""
        with self.world.store.transaction():
            return move(Call(self.world, given.get("account") or ""), amount=int(given["amount"]),
                        currency=given.get("currency", "usd"), type=given.get("type") or "topup",
                        category=given.get("category") or "topup", source=None)  # fmt: skip

    async def funds(self, given: Body) -> Body:
        held = funds(Call(self.world, given.get("account") or ""))
        return {name: {"available": there, "pending": waiting} for name, (there, waiting) in held.items()}

    async def endpoint(self, given: Body) -> Body:
        """Make a webhook endpoint whose signing secret the caller chooses."""
        wanted = {"enabled_events": ["*"], **given}
        with self.world.store.transaction():
            return make_endpoint(Call(self.world), wanted, wanted.pop("secret", None) or new_secret())

    async def roll(self, given: Body) -> Body:
        """Roll an endpoint's secret; both sign for a while."""
        call = Call(self.world)
        endpoint = call.get("webhook_endpoint", given["endpoint"])
        return {
            "secret": roll_secret(call, endpoint, overlap_seconds=float(given.get("overlap_seconds", 86_400)))
        }

    async def log(self, given: Body) -> Body:
        rows = self.world.store.db.execute(
            "SELECT id, entry FROM log WHERE id > ? ORDER BY id", (int(given.get("after", 0)),)
        )
        return {"data": [{"id": id, **msgspec.json.decode(entry)} for id, entry in rows]}

    async def violations(self, given: Body) -> Body:
        """What differed from the specification; `forget` empties the list."""
        found = list(self.api.violations)
        if given.get("forget"):
            self.api.violations.clear()
        return {"data": found}

    async def health(self, given: Body) -> Body:
        return {"now": self.world.clock.now()}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
