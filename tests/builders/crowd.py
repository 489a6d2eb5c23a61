"""Many clients at once, each with its own thread and connection, against a real server."""

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.db import connection

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """An answer as it came over the wire."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body's JSON value."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code."""
        code: str | None = self.json().get("code")
        return code


class Client:
    """One keep-alive connection with a key. Raises OSError and HTTPException when the server goes away."""

    def __init__(self, url: str, secret: str, *, timeout: float = 30) -> None:
        place = urlsplit(url)
        self._secret = secret
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)

    def post(self, path: str, body: Any, *, key: str | None = None) -> Reply:
        """POST a JSON body."""
        return self.send("POST", path, json.dumps(body).encode(), key=key)

    def send(self, method: str, path: str, raw: bytes | None = None, *, key: str | None = None) -> Reply:
        """Any call."""
        headers = {"Authorization": f"Bearer {self._secret}"}
        if raw is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            self._connection.request(method, path, raw, headers)
            answer = self._connection.getresponse()
            return Reply(
                answer.status, answer.read(), {name.title(): value for name, value in answer.getheaders()}
            )
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def at_once(call: Callable[[int], T], *, callers: int) -> list[T]:
    """What each of the calls gave, all started together; the first failure is raised."""
    barrier = threading.Barrier(callers)
    answers: list[Any] = [None] * callers
    failures: list[BaseException] = []

    def run(place: int) -> None:
        try:
            barrier.wait()
            answers[place] = call(place)
        except BaseException as error:  # told to the test by the raise below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return answers


def crowd(url: str, secret: str, call: Callable[[Client, int], T], *, clients: int = 64) -> list[T]:
    """What each client's call gave, all connected first and started together."""
    connected = [Client(url, secret) for _ in range(clients)]
    try:
        return at_once(lambda place: call(connected[place], place), callers=clients)
    finally:
        for client in connected:
            client.close()
