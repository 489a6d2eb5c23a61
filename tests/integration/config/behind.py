"""An application behind the forwarder that shows what it was asked, and misbehaves on demand."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Start = Callable[[str, list[tuple[str, str]]], Any]
CLOSED = Path(os.environ["CLOSED_FILE"])


def application(environ: dict[str, Any], start: Start) -> Any:
    name = environ["PATH_INFO"].rsplit("/", 1)[1]
    return VIEWS.get(name, show)(environ, start)


def show(environ: dict[str, Any], start: Start) -> list[bytes]:
    body = environ["wsgi.input"].read()
    shown = {key: value for key, value in environ.items() if key.startswith("HTTP_") or key.isupper()}
    shown |= {"size": len(body), "sha": hashlib.sha256(body).hexdigest()}
    start(
        "200 OK",
        [
            ("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
            ("Connection", "x-private"), ("X-Private", "1"), ("Keep-Alive", "timeout=1"), ("X-Public", "2"),
            ("X-Name", "caf\u00e9"),
        ],
    )  # fmt: skip
    return [json.dumps({key: value for key, value in shown.items() if isinstance(value, str | int)}).encode()]


def large(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5000000")])
    return (b"x" * 50_000 for _ in range(100))


class Events:
    """One event every tenth of a second, until the caller hangs up."""

    def __iter__(self) -> Iterator[bytes]:
        for number in range(100):
            yield b"data: %d\n\n" % number
            time.sleep(0.1)

    def close(self) -> None:
        CLOSED.touch()


def events(environ: dict[str, Any], start: Start) -> Events:
    start("200 OK", [("Content-Type", "text/event-stream")])
    return Events()


def early(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("413 Content Too Large", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"no"]


def slow(environ: dict[str, Any], start: Start) -> list[bytes]:
    CLOSED.with_suffix(".begun").touch()
    time.sleep(1)
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]


def nothing(environ: dict[str, Any], start: Start) -> list[bytes]:
    start("204 No Content", [])
    return []


def die(environ: dict[str, Any], start: Start) -> list[bytes]:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def torn(environ: dict[str, Any], start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1000000")])

    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    return pieces()


VIEWS: dict[str, Callable[[dict[str, Any], Start], Any]] = {
    "large": large, "events": events, "early": early, "slow": slow, "nothing": nothing, "die": die, "torn": torn,
}  # fmt: skip
