"""The benchmarks run: at a tiny size and on the throwaway cluster, so that their figures mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.places import CHECKOUT

QUICK = ["--throwaway", "--rounds", "1", "--seconds", "0.2", "--organizations", "5", "--lifecycles", "40"]


def bench(tmp_path: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Run the benchmarks and return what they print and write."""
    out = tmp_path / "latest.json"
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench", *QUICK, "--out", str(out), *arguments],
        cwd=CHECKOUT, env={**os.environ, "COUNTERFOIL_HOME": str(tmp_path)}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout, json.loads(out.read_text(encoding="utf-8"))


long = pytest.mark.skipif(not os.environ.get("FULL"), reason="It takes half a minute of two processors.")


class TestTheBenchmarks:
    @long
    def test_measure_the_gate_beside_its_floor(self, tmp_path: Path) -> None:
        printed, written = bench(tmp_path, "gate", "ledger", "storage", "proofs")
        figures = written["figures"]
        for name in (
            "floor.spread.16",
            "gate.inproc.spread.16.lifecycles_per_s",
            "gate.inproc.hot.32.p99_ms",
            "gate.inproc.hot.256.operations_per_s",
            "gate.inproc.denial_over_grant",
            "ledger.entries_per_s",
            "storage.bytes_per_lifecycle",
            "verify.entries_per_s",
            "rebuild.events_per_s",
        ):
            assert figures[name]["value"] > 0, name
            assert name in printed
        rate = figures["gate.inproc.spread.16.lifecycles_per_s"]
        assert rate["unit"] == "1/s"
        assert set(rate["ratio_to"]) == {"floor.spread.1", "floor.spread.16", "floor.spread.64"}
        assert len(rate["runs"]) == 1
        assert set(written) == {"machine", "started_at", "figures"}

    @long
    def test_measure_the_gate_over_http(self, tmp_path: Path) -> None:
        printed, written = bench(tmp_path, "http", "open", "isolation", "--block-seconds", "1")
        figures = written["figures"]
        for name in (
            "gate.http.hot.64.lifecycles_per_s",
            "gate.http.hot.64.web_cpu_us",
            "gate.http.spread.256.reserve_p99_ms",
            "gate.http.batch.reservations_per_s",
            "gate.open.hot.100.offered_per_s",
            "isolation.p99_normal_ms",
            "isolation.ratio",
            "isolation.blocked_status_503",
        ):
            assert figures[name]["value"] > 0, name
        assert figures["isolation.blocked_status_503"]["unit"] == "calls"
        assert set(figures["gate.http.hot.64.operations_per_s"]["ratio_to"]) == {
            "floor.hot.1",
            "floor.hot.64",
        }
        assert "gate.open.spread: lifecycles offered" in printed
        table = (tmp_path / "latest.md").read_text(encoding="utf-8")
        assert "| `gate.http.hot.64` |" in table
        assert "| `gate.http.hot.64.operations_per_s` / `floor.hot.64` |" in table
        assert (tmp_path / "latency.svg").read_text(encoding="utf-8").startswith("<svg")

    @long
    def test_measure_partners_money_after_few_earnings_and_after_many(self, tmp_path: Path) -> None:
        _, written = bench(tmp_path, "payouts", "--earnings", "1000")
        for step in ("settle", "withdrawable", "statement", "batch"):
            for name in ("100_cpu_ms", "1000_cpu_ms", "many_over_few"):
                assert written["figures"][f"payouts.{step}.{name}"]["value"] > 0, (step, name)
        for name in ("making_s", "whole_s"):
            assert written["figures"][f"payouts.batch.1000_{name}"]["value"] > 0, name

    @long
    def test_measure_a_day_of_dunning(self, tmp_path: Path) -> None:
        _, written = bench(tmp_path, "dunning", "--dunned", "40")
        for name in ("opening_s", "daily_s", "idle_s", "cpu_us"):
            assert written["figures"][f"dunning.40.{name}"]["value"] > 0, name

    def test_refuse_a_section_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="unknown section invoice"):
            bench(tmp_path, "invoice")
