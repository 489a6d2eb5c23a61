"""The floor: what pgbench gets from the same server for one UPDATE of a balance row and one INSERT."""

import re
import subprocess
from pathlib import Path

from sandbox.cluster import SUPERUSER
from tests.bench.place import Place

ROWS = 1_000
SCHEMA = """
CREATE TABLE balance (id int PRIMARY KEY, amount bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, balance int NOT NULL, amount bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO balance SELECT n, 0 FROM generate_series(1, 1000) n;
"""
# One statement, prepared: every further round trip would only make the floor lower and our ratios better.
STATEMENT = """\\set row {row}
WITH moved AS (UPDATE balance SET amount = amount + 1 WHERE id = :row RETURNING id)
INSERT INTO entry (balance, amount) SELECT id, 1 FROM moved;
"""
SPREADS = {"hot": "1", "spread": f"random(1, {ROWS})"}


class Floor:
    """One pgbench run: hot (one row) or spread (1,000 rows) with a number of clients."""

    def __init__(self, place: Place, *, spread: str, clients: int) -> None:
        self.place, self.spread, self.clients = place, spread, clients
        self.name = f"floor.{spread}.{clients}"
        self.against: tuple[str, ...] = ()

    def run(self, seconds: float) -> dict[str, float]:
        """Return transactions per second, without the time that connecting takes."""
        script = self.place.folder / f"floor.{self.spread}.sql"
        script.write_text(STATEMENT.format(row=SPREADS[self.spread]), encoding="utf-8")
        return {self.name: self._pgbench(script, seconds)}

    def _pgbench(self, script: Path, seconds: float) -> float:
        """pgbench's clock runs while its clients connect, which on a busy machine may take all of it: then longer."""
        for longer in (1, 3, 9):
            answer = subprocess.run(
                self._command(script, max(1, round(seconds)) * longer), capture_output=True, text=True
            )
            found = re.search(r"^tps = ([0-9.]+)", answer.stdout, re.MULTILINE)
            if found is not None and not answer.returncode:
                return float(found.group(1))
        raise RuntimeError(f"pgbench failed:\n{answer.stdout}{answer.stderr}")

    def _command(self, script: Path, seconds: int) -> list[str]:
        url = self.place.cluster.url(role=SUPERUSER, name=self.place.name("floor"))
        return [
            str(self.place.cluster.binaries.folder / "pgbench"), "--no-vacuum", "--protocol", "prepared",
            "--client", str(self.clients), "--jobs", str(min(2, self.clients)), "--time", str(seconds),
            "--file", str(script), url,
        ]  # fmt: skip


def make_floor_database(place: Place) -> None:
    """Make the table of the floor in a database of its own on the same server."""
    name = place.clone("floor")
    with place.superuser(name) as connection:
        connection.execute(SCHEMA.encode())
