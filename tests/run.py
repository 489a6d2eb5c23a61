"""`make test`: start the test cluster, run pytest, stop the cluster unless it was running before."""

import os
import sys

from sandbox.binaries import NoPostgres
from sandbox.cluster import ClusterUnusable
from sandbox.postgres import run_beside
from tests.database import cluster_home


def main() -> int:
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    bin_folder = os.environ.get("PG_BIN") or None
    try:
        return run_beside(command=command, home=cluster_home(), durable=False, bin_folder=bin_folder)
    except (NoPostgres, ClusterUnusable) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
