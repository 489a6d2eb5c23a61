"""The command lines of the web servers. Granian serves; gunicorn is kept usable for those who run it."""

import os
import sys

WEB_THREADS = 64


def web_workers() -> int:
    """Return how many web processes to run: one per core, two at most on one machine with everything else."""
    return max(1, min(2, os.cpu_count() or 1))


def granian_command(*, bind: str, port: int) -> list[str]:
    """Return Granian's command line: WSGI with many cheap blocking threads. It does not respawn its workers;
    whoever supervises it ends the whole group and starts it anew."""
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", bind, "--port", str(port),
        "--workers", str(web_workers()), "--blocking-threads", str(WEB_THREADS), "--http", "1", "--no-ws",
        "--no-respawn-failed-workers", "--workers-kill-timeout", "3", "--log-level", "warning",
        "config.wsgi:application",
    ]  # fmt: skip


def gunicorn_command(*, bind: str, port: int) -> list[str]:
    """Return gunicorn's command line with the same numbers of processes and threads."""
    return [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--bind", f"{bind}:{port}",
        "--workers", str(web_workers()), "--threads", str(WEB_THREADS), "--no-control-socket",
        "config.wsgi:application",
    ]  # fmt: skip


def worker_command() -> list[str]:
    """Return the Celery worker's command line."""
    return [
        sys.executable, "-m", "celery", "-A", "config.worker", "worker", "--concurrency", "2",
        "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip


def beat_command() -> list[str]:
    """Return beat's command line. It keeps no schedule file: what is due stands in the database."""
    return [
        sys.executable, "-m", "celery", "-A", "config.worker", "beat",
        "--scheduler", "celery.beat.Scheduler", "--pidfile", "", "--loglevel", "INFO",
    ]  # fmt: skip
