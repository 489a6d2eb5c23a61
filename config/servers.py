"""The command lines of the servers. `web` owns the port and answers the gate, `app` is Django behind it."""

import sys

APP_THREADS = 64
END_SECONDS = 9
"""What is in flight has this long to be answered after SIGTERM; the gate's deadline must be shorter."""


def web_command(*, bind: str, port: int, processes: int) -> list[str]:
    """Return the command line of web: one event loop per process. Granian does not respawn its workers; whoever
    supervises it ends the whole group and starts it anew."""
    return [
        sys.executable, "-m", "granian", "--interface", "rsgi", "--host", bind, "--port", str(port),
        "--workers", str(processes), "--loop", "uvloop", "--http", "1", "--no-ws", "--backlog", "2048",
        "--no-respawn-failed-workers", "--workers-kill-timeout", str(END_SECONDS), "--log-level", "warning",
        "config.rsgi:application",
    ]  # fmt: skip


def app_command(*, address: str, processes: int) -> list[str]:
    """Return the command line of app: WSGI with many cheap blocking threads, at `unix:/path` or `http://host:port`.

    A socket that is left over from a process that was killed must be removed before.
    """
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", *_granian_place(address),
        "--workers", str(processes), "--blocking-threads", str(APP_THREADS), "--http", "1", "--no-ws",
        "--no-respawn-failed-workers", "--workers-kill-timeout", str(END_SECONDS), "--log-level", "warning",
        "config.wsgi:application",
    ]  # fmt: skip


def gunicorn_command(*, address: str, processes: int) -> list[str]:
    """Return gunicorn's command line in place of app's, with the same numbers of processes and threads."""
    bind = address if address.startswith("unix:") else address.removeprefix("http://")
    return [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--bind", bind, "--umask", "0o077",
        "--workers", str(processes), "--threads", str(APP_THREADS), "--no-control-socket",
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


def _granian_place(address: str) -> list[str]:
    if address.startswith("unix:"):
        return ["--uds", address.removeprefix("unix:"), "--uds-permissions", "0o600"]
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    return ["--host", host.strip("[]"), "--port", port]
