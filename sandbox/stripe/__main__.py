"""`python -m sandbox.stripe --port 12111 --home var`: serve until SIGTERM.

`--check MODULE:CLASS` is the development mode: every request and answer is compared with Stripe's specification by an
object of that class, and what differs is told at /_sim/violations.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
from pathlib import Path

import uvloop
from aiohttp import web

from sandbox.stripe.clock import Clock
from sandbox.stripe.control import Control
from sandbox.stripe.delivery import Deliveries
from sandbox.stripe.due import do_due
from sandbox.stripe.faults import Faults
from sandbox.stripe.server import Api, Checker
from sandbox.stripe.store import Store
from sandbox.stripe.world import Settings, World

FILE = "stripe/simulator.sqlite"
_LARGEST_BODY = 10_000_000


def _checker(name: str | None) -> Checker | None:
    if not name:
        return None
    module, _, attribute = name.partition(":")
    made: Checker = getattr(importlib.import_module(module), attribute)()
    return made


async def _tick(world: World) -> None:
    """Do what falls due while nobody calls."""
    while True:
        await asyncio.sleep(0.5)
        with world.store.transaction():
            do_due(world)


async def serve(*, port: int, home: Path, key: str, check: str | None) -> None:
    """Serve on the loopback interface until SIGTERM or SIGINT."""
    store = Store(home / FILE)
    world = World(store, Clock(store.value("clock_offset", 0.0)), Settings(key=key))
    api = Api(world, Faults(), _checker(check))
    deliveries = Deliveries(world)
    control = Control(api, deliveries)
    application = web.Application(client_max_size=_LARGEST_BODY)
    application.router.add_route("*", "/_sim/{name}", control.handle)
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    tasks = [loop.create_task(deliveries.run()), loop.create_task(_tick(world))]
    await stopped.wait()
    for task in tasks:
        task.cancel()
    await runner.cleanup()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.stripe", description="Serve a Stripe of our own."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("COUNTERFOIL_HOME", "var")))
    parser.add_argument("--key", default="sk_test_counterfoil")
    parser.add_argument("--check", help="module:class of who compares with Stripe's specification")
    given = parser.parse_args()
    uvloop.run(serve(port=given.port, home=given.home, key=given.key, check=given.check))


if __name__ == "__main__":
    main()
