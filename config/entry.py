"""What every entry point does before it serves: refuse to start on a wrong set-up."""

import sys

from django.core.checks import run_checks
from django.db import DatabaseError, connections
from psycopg_pool import PoolTimeout


def refuse_a_wrong_start() -> None:
    """Run all system checks, those that ask the databases too; exit with their list when one is serious.

    A web server runs no checks by itself. An unreachable database ends the process as well: whoever
    supervises it tries again.
    """
    try:
        problems = [problem for problem in run_checks(databases=["default", "gate"]) if problem.is_serious()]
    except (DatabaseError, PoolTimeout) as error:
        sys.exit(
            f"The database cannot be asked whether it is set up rightly: {type(error).__name__}: {error}"
        )
    if problems:
        sys.exit("Refused to start:\n" + "\n".join(str(problem) for problem in problems))
    connections.close_all()
