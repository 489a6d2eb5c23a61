"""`make peers`: comparable software beside Counterfoil, or some: `python -m tests.peers hf-nostro --seconds 1`.

Peers are installed into environments of their own from locks with hashes. Results go to `bench/peers.json` and, as
tables, to `bench/peers.md` in the state folder.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox.places import home as state_home
from sandbox.places import write_json
from tests.bench.floor import make_floor_database
from tests.bench.gate import disconnect
from tests.bench.place import Place, now_text
from tests.peers.installing import CannotInstall
from tests.peers.loads import Block, Sizes, blocks, measure
from tests.peers.probes import probe
from tests.peers.showing import tables
from tests.peers.workers import PeerFailed

console = Console(stderr=True)
NAMES = (
    "counterfoil-http", "counterfoil-inproc", "escrowmint-always", "escrowmint-everysec", "hf-nostro",
    "django-hordak", "django-ledger", "plutus-agent",
)  # fmt: skip


def main() -> int:
    """Measure the targets that the command line names, in rounds; then put the questions to each."""
    given = _arguments()
    folder = state_home().resolve() / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(throwaway=given.throwaway)
    place.use(place.clone("main"))
    started = now_text()
    try:
        make_floor_database(place)
        peers = _compare(place, folder, given)
        machine = place.machine()
    finally:
        disconnect()
        place.close()
    found = {"machine": machine, "started_at": started, "sizes": asdict(_sizes(given)), "peers": peers}
    out = given.out or place.folder / "peers.json"
    write_json(path=out, value=found)
    text = tables(found)
    out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(_has_failed(values) for values in peers.values()) else 0


def _has_failed(peer: dict[str, Any]) -> bool:
    return "failed" in peer or any("failed" in found for found in peer.get("probes", {}).values())


def _compare(place: Place, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    # These import Django's models, which the place has set up only now.
    from tests.bench.population import make_customers, make_prices
    from tests.peers.targets import TARGETS, running

    sizes = _sizes(given)
    make_prices()
    names = given.targets or list(NAMES)
    has_own = any(TARGETS[name].gate for name in names)
    customers = make_customers(sizes.many_wallets) if has_own else []
    peers: dict[str, Any] = {
        name: {"version": TARGETS[name].version, "where": TARGETS[name].where} for name in names
    }
    found: dict[str, list[Block]] = {name: list(blocks(sizes)) for name in names}
    for number in range(sizes.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            with (
                _told(peers[name], f"{name}, load, round {number + 1}"),
                running(TARGETS[name], place, folder, customers, fresh=number == 0) as target,
            ):
                measure(target, place, sizes, found[name])
    for name in names:
        peers[name]["loads"] = [block.as_json() for block in found[name]]
        with (
            _told(peers[name], f"{name}, probes"),
            running(TARGETS[name], place, folder, customers, fresh=True) as target,
        ):
            if not target.target.gate:
                target.worker.ask("install")
            peers[name]["probes"] = probe(target, sizes, may_kill=not given.throwaway)
    return peers


@contextmanager
def _told(peer: dict[str, Any], what: str) -> Iterator[None]:
    """Say what runs; one that cannot be measured is noted and does not end the others."""
    console.print(f"[dim]{what}")
    try:
        yield
    except (CannotInstall, PeerFailed) as error:
        console.print(f"{what}: {error}")
        peer["failed"] = str(error)


def _sizes(given: argparse.Namespace) -> Sizes:
    return Sizes(
        seconds=given.seconds, floor_seconds=given.floor_seconds, rounds=given.rounds, clients=(1, 16, 64),
        many_wallets=given.wallets, room=given.room, work_seconds=0.02, rows=given.rows,
        fill_seconds=given.fill_seconds, kill_after=1.0,
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of: {' '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of one load")
    parser.add_argument("--floor-seconds", type=float, default=2, help="of the floor before and after it")
    parser.add_argument("--wallets", type=int, default=1_000)
    parser.add_argument("--room", type=int, default=100, help="calls that fit, of the admission probe")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="charges after which the cost is asked again"
    )
    parser.add_argument("--fill-seconds", type=float, default=300, help="after which fewer rows must do")
    parser.add_argument("--throwaway", action="store_true", help="on the test cluster: to see that it runs")
    parser.add_argument("--out", type=Path, default=None, help="file of the results")
    given = parser.parse_args()
    unknown = set(given.targets) - set(NAMES)
    if unknown:
        parser.error(f"unknown target {sorted(unknown)[0]}; there are {', '.join(NAMES)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
