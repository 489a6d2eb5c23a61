"""The tables of the comparison, as Markdown."""

from collections.abc import Iterable, Iterator
from typing import Any

# Seen on 2 cores at 16 clients on one wallet, with this software's own set-up; quoted, not measured here.
QUOTED = {
    "bursar 2": "37 to 42 charges/s; needs Python 3.12 and the extensions pg_jsonschema and pg_partman",
    "gringotts-api": "301 charges/s",
}


def tables(found: dict[str, Any]) -> str:
    """Loads, then probes, then what each lacks."""
    peers = found["peers"]
    parts = [
        *_loads(peers, wallets=1),
        "",
        *_loads(peers, wallets=found["sizes"]["many_wallets"]),
        "",
        *_probes(peers),
        "",
        *_lacking(peers),
        "",
        "Quoted, not measured here: " + "; ".join(f"{name}: {text}" for name, text in QUOTED.items()) + ".",
    ]
    return "\n".join(parts) + "\n"


def _loads(peers: dict[str, Any], *, wallets: int) -> Iterator[str]:
    name = "one wallet" if wallets == 1 else f"{wallets:,} wallets"
    yield f"| {name} | clients | lifecycles/s | of the floor | call p50 / p99 ms | CPU us: client, store | errors |"
    yield "|---|---|---|---|---|---|---|"
    for peer, values in peers.items():
        for block in values.get("loads", ()):
            if block["wallets"] == wallets and "lifecycles_per_s" in block:
                yield (
                    f"| {peer} | {block['clients']} | {_number(block['lifecycles_per_s'])} | {block['over_floor']:.3f}"
                    f" | {_number(block['call_p50_ms'])} / {_number(block['call_p99_ms'])}"
                    f" | {_number(block['client_cpu_us'])}, {_number(block['store_cpu_us'])}"
                    f" | {sum(block['errors'].values())} |"
                )


def _probes(peers: dict[str, Any]) -> Iterator[str]:
    yield (
        "| | room: let in, overspent, falsely refused | the same with work between: let in, overspent, unpaid"
        " | expired hold | key again | SIGKILL: acknowledged, lost | rows: cost of a lifecycle, of a balance |"
    )
    yield "|---|---|---|---|---|---|---|"
    for peer, values in peers.items():
        if "probes" in values:
            cells = (_cell(kind, values["probes"].get(kind, {})) for kind in _CELLS)
            yield f"| {peer} | {' | '.join(cells)} |"


def _admission(found: dict[str, Any]) -> str:
    return f"{found['room']}: {found['admitted']}, {found['overspend']}, {found['false_refusals']}{_errors(found)}"


def _with_work(found: dict[str, Any]) -> str:
    return (
        f"{found['room']}: {found['admitted']}, {found['overspend']}, {found['work_unpaid']}{_errors(found)}"
    )


def _errors(found: dict[str, Any]) -> str:
    count = sum(found["errors"].values())
    return f" ({count} errors)" if count else ""


def _words(found: dict[str, Any]) -> str:
    return str(found.get("seen") or "; ".join(f"{name}: {value}" for name, value in found.items()))


def _kill(found: dict[str, Any]) -> str:
    return f"{found['acknowledged']}, {found['lost']}"


def _growth(found: dict[str, Any]) -> str:
    return f"{found['last']['charges']:,}: {found['lifecycle_ratio']:.2f}, {found['balance_ratio']:.2f}"


_CELLS = {
    "admission": _admission, "admission_with_work": _with_work, "expiry": _words, "replay": _words,
    "kill": _kill, "growth": _growth,
}  # fmt: skip


def _cell(kind: str, found: dict[str, Any]) -> str:
    if not found:
        return "not run"
    return f"failed: {found['failed']}" if "failed" in found else _CELLS[kind](found)


def _lacking(peers: dict[str, Any]) -> Iterable[str]:
    for peer, values in peers.items():
        lacks = values.get("probes", {}).get("info", {}).get("lacks", ())
        what = f"{values['version']}, {values['where']}" + (f"; {'; '.join(lacks)}" if lacks else "")
        yield f"- **{peer}** ({what})" + (f". Failed: {values['failed']}" if "failed" in values else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
