"""What orchestrators and scrapers ask: is the process alive, may it get traffic, how is it doing."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from config.metrics import scrape


def livez(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the process can answer at all."""
    return JsonResponse({"status": "ok"})


_is_migrated = False


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


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 503 only when nothing can be served: no database, or migrations missing."""
    problem = _database_problem()
    if problem:
        return JsonResponse({"status": "unavailable", "problem": problem}, status=503)
    return JsonResponse({"status": "ok", "problem": None})


def metrics(request: HttpRequest) -> HttpResponse:
    """Give the process's metrics in Prometheus' text format."""
    return HttpResponse(scrape(), content_type=CONTENT_TYPE_LATEST)
