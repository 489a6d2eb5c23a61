"""What orchestrators and scrapers ask: is the process alive, may it get traffic, how is it doing."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from common.errors import ServiceUnavailable
from common.transactions import run_in_transaction
from config.metrics import scrape
from events.queries.health import store_health
from webhooks.queries.reconciling.runs import age_seconds


def livez(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the process can answer at all."""
    return JsonResponse({"status": "ok"})


_is_migrated = False

# Above these the figures of /readyz count as degraded.
_WORST = {
    "event_lag_seconds": 30,
    "sealing_age_seconds": 10,
    "horizon_age_seconds": 10,
    "worker_heartbeat_age_seconds": 60,
    "parked_subscribers": 0,
    "failing_jobs": 0,
    "default_partition_rows": 0,
    "reconciliation_age_seconds": 26 * 3_600,
}


def _database_problem() -> str | None:
    """Migrations only ever go forward under a running process: once they are all there, only the connection
    is asked."""
    global _is_migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _is_migrated:
            executor = MigrationExecutor(connection)
            _is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, PoolTimeout):
        return "database"
    return None if _is_migrated else "migrations"


def _unavailable(problem: str) -> JsonResponse:
    return JsonResponse({"status": "unavailable", "problem": problem}, status=503)


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 503 only when nothing can be served: no database, or migrations missing. What lags behind is
    reported as degraded, with 200: taking the process out of service would not help it."""
    problem = _database_problem()
    if problem:
        return _unavailable(problem)
    try:
        health, reconciliation_age = run_in_transaction(lambda cur: (store_health(cur), age_seconds(cur)))
    except ServiceUnavailable:
        return _unavailable("database")
    figures = {
        "event_lag_seconds": max(health.lags.values(), default=0.0),
        "sealing_age_seconds": health.sealing_seconds,
        "horizon_age_seconds": health.horizon_seconds,
        "worker_heartbeat_age_seconds": health.heartbeat_seconds,
        "parked_subscribers": health.parked_subscribers,
        "failing_jobs": health.failing_jobs,
        "default_partition_rows": health.default_rows,
        "reconciliation_age_seconds": reconciliation_age,
    }
    degraded = [name for name, worst in _WORST.items() if (figures[name] or 0) > worst]
    status = "degraded" if degraded else "ok"
    return JsonResponse({"status": status, "problem": None, "degraded": degraded, "figures": figures})


def metrics(request: HttpRequest) -> HttpResponse:
    """Give the process's metrics in Prometheus' text format."""
    return HttpResponse(scrape(), content_type=CONTENT_TYPE_LATEST)
