"""`make bench`, or single sections: `python -m tests.bench floor gate --rounds 5 --seconds 2`.

Everything that has a rate runs in rounds, interleaved, so that a floor and what is compared with it share the
minutes. `--profile` prints where a lifecycle's CPU goes instead.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from sandbox.places import write_json
from tests.bench.figures import Report
from tests.bench.markdown import in_markdown
from tests.bench.openloop import draw_latency
from tests.bench.place import Place, now_text
from tests.bench.profiling import profile
from tests.bench.proofs import ProofFailed
from tests.bench.sections import LATER, SECTIONS, Bench
from tests.bench.showing import in_words, show


def main() -> int:
    """Run the sections that the command line names, print the table, write `latest.json`."""
    given = _arguments()
    place = Place(throwaway=given.throwaway)
    place.folder.mkdir(parents=True, exist_ok=True)
    started, machine = now_text(), place.machine()
    bench = Bench(place, Report(), given)
    try:
        if given.profile:
            profile(bench.place, bench.customers(), lifecycles=200)
            return 0
        for name in (name for name in SECTIONS if not given.sections or name in given.sections):
            bench.prepare(name)
        bench.run()
    except ProofFailed as error:
        show(bench.report, machine)
        print(f"The database does not verify, so nothing is written: {error}", file=sys.stderr)
        return 1
    finally:
        try:
            bench.close()
        finally:
            place.close()
    show(bench.report, machine, later=() if given.sections else LATER)
    if not given.throwaway or given.out:
        value: dict[str, Any] = {"machine": machine, "started_at": started, "figures": bench.report.as_json()}
        path = given.out or place.folder / "latest.json"
        write_json(path=path, value=value)
        path.with_suffix(".md").write_text(in_markdown(value["figures"]), encoding="utf-8")
        draw_latency(bench.report, path.with_name("latency.svg"), machine=in_words(machine))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of: {' '.join(SECTIONS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of one measurement in a round")
    parser.add_argument("--organizations", type=int, default=1_000)
    parser.add_argument("--lifecycles", type=int, default=3_200, help="that storage is measured with")
    parser.add_argument("--block-seconds", type=float, default=10, help="that isolation holds a row")
    parser.add_argument("--largest", type=int, default=0, help="power of ten to which growth goes")
    parser.add_argument(
        "--records", type=int, default=10**6, help="usage records under the attribution query"
    )
    parser.add_argument("--dunned", type=int, default=0, help="customers in dunning")
    parser.add_argument("--earnings", type=int, default=0, help="earnings of a partner")
    parser.add_argument("--profile", action="store_true", help="print where a lifecycle's CPU goes")
    parser.add_argument("--throwaway", action="store_true", help="on the test cluster: to see that it runs")
    parser.add_argument("--out", type=Path, default=None, help="file of the figures")
    given = parser.parse_args()
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {sorted(unknown)[0]}; there are {', '.join(SECTIONS)}")
    given.full = os.environ.get("FULL", "") not in ("", "0")
    return given


if __name__ == "__main__":
    sys.exit(main())
