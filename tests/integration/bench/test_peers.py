"""The comparison runs, at a tiny size and with Counterfoil alone: peers would have to be installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.places import CHECKOUT
from tests.peers.showing import tables

QUICK = [
    "--throwaway", "--rounds", "1", "--seconds", "0.3", "--floor-seconds", "1", "--wallets", "3", "--room", "12",
    "--rows", "60", "--fill-seconds", "5",
]  # fmt: skip


@pytest.mark.skipif(not os.environ.get("FULL"), reason="It takes a minute of two processors.")
class TestTheComparison:
    def test_puts_counterfoil_through_loads_and_probes(self, tmp_path: Path) -> None:
        out = tmp_path / "peers.json"
        answer = subprocess.run(
            [sys.executable, "-m", "tests.peers", "counterfoil-http", "counterfoil-inproc", *QUICK, "--out", str(out)],
            cwd=CHECKOUT, env={**os.environ, "COUNTERFOIL_HOME": str(tmp_path)}, capture_output=True, text=True,
            timeout=400,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        found = json.loads(out.read_text(encoding="utf-8"))
        assert set(found["peers"]) == {"counterfoil-http", "counterfoil-inproc"}
        for peer in found["peers"].values():
            assert [(block["wallets"], block["clients"]) for block in peer["loads"]] == [
                (1, 1), (1, 16), (1, 64), (3, 1), (3, 16), (3, 64),
            ]  # fmt: skip
            assert all(block["lifecycles_per_s"] > 0 for block in peer["loads"])
            assert all(block["floor_before"] > 0 for block in peer["loads"])
            probes = peer["probes"]
            for name in ("admission", "admission_with_work"):
                assert probes[name]["admitted"] == probes[name]["charges"] == 12
                assert probes[name]["overspend"] == probes[name]["false_refusals"] == 0
                assert probes[name]["errors"] == {}
            assert probes["expiry"] == {"while held": "Refused (budget_busy)", "after expiry": "granted"}
            assert probes["replay"]["before commit"] == "the same hold"
            assert probes["replay"]["held after both"] == 10
            assert probes["replay"]["late commit"] == "accepted"
            assert probes["replay"]["at once"].startswith("1 effect")
            assert probes["growth"]["last"]["charges"] >= 60
        assert tables(found) in answer.stdout
        assert "| counterfoil-http | 64 |" in answer.stdout
