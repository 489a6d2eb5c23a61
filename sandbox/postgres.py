"""An embedded cluster without the supervisor: `python -m sandbox.postgres start|stop|url|run`.

start            make and start the cluster of --home, leave it running
stop             stop it
url ROLE [NAME]  print a URL (owner, gate, app, readonly, superuser)
run -- COMMAND   start it, run the command, stop it again unless it was running before
"""

import argparse
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.binaries import NoPostgres
from sandbox.cluster import SUPERUSER, Cluster, ClusterUnusable
from sandbox.places import home as state_home


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "cluster.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def running_cluster(*, home: Path, durable: bool, bin_folder: str | None = None) -> tuple[Cluster, bool]:
    """Return the cluster of a state folder with its server running and the four roles made, and whether this
    call started it. Safe to call from several processes at once."""
    with _one_at_a_time(home):
        cluster = Cluster.open(home=home, durable=durable, bin_folder=bin_folder)
        if cluster.is_live():
            return cluster, False
        cluster.start_detached()
        cluster.make_roles()
        return cluster, True


def run_beside(*, command: list[str], home: Path, durable: bool, bin_folder: str | None = None) -> int:
    """Run a command while the cluster serves; stop the cluster afterwards unless it was running before.
    Returns the command's exit code."""
    cluster, started = running_cluster(home=home, durable=durable, bin_folder=bin_folder)
    try:
        return subprocess.run(command).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        if started:
            cluster.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.postgres", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--home", type=Path, default=state_home(), help="state folder")
    parser.add_argument("--test", action="store_true", help="fsync off: data that may be thrown away")
    parser.add_argument("--pg-bin", default=None, help="folder of another PostgreSQL's programs")
    parser.add_argument("verb", choices=["start", "stop", "url", "run"])
    parser.add_argument("rest", nargs="*")
    return parser.parse_args()


def _print_url(cluster: Cluster, role: str = "app", name: str = "counterfoil") -> None:
    full = SUPERUSER if role == "superuser" else f"counterfoil_{role}"
    print(cluster.url(role=full, name=name))


def main() -> int:
    """Do what the command line asks; an unusable machine is a message, not a stack."""
    given = _arguments()
    home = given.home.resolve()
    try:
        if given.verb == "run":
            return run_beside(command=given.rest, home=home, durable=not given.test, bin_folder=given.pg_bin)
        if given.verb == "start":
            cluster, _ = running_cluster(home=home, durable=not given.test, bin_folder=given.pg_bin)
            print(cluster.location.socket_folder)
        else:
            cluster = Cluster.open(home=home, durable=not given.test, bin_folder=given.pg_bin)
            _print_url(cluster, *given.rest) if given.verb == "url" else cluster.stop()
    except (NoPostgres, ClusterUnusable) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
