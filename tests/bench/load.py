"""A light load generator, run as a process of its own: `python -m tests.bench.load`, the order on stdin as JSON.

Keep-alive connections over one selector and answers searched as bytes, so that on a small machine the client takes
little of what it measures. Prints the seconds of every reserve and commit as JSON.
"""

import json
import selectors
import socket
import sys
import time
from typing import Any

BODY = (
    '{"subject":{"agent":"bot","workflow":"report","run":"%s","user":"%s","step":%d},'
    '"action":{"kind":"llm.chat","provider":"anthropic","model":"claude-sonnet-4-5"},'
    '"estimate":{"input_tokens":1800,"max_output_tokens":900},"currency":"USD"}'
)
COMMIT = (
    b'{"outcome":"completed","usage":{"input_tokens":1730,"cache_read_input_tokens":1200,"output_tokens":412},'
    b'"latency_ms":1840,"response_id":"msg_000000000000000000000001"}'
)
CALLS_OF_A_RUN, USERS = 20, 50


class Refused(Exception):
    """The server answered something else than what a call that is granted gets."""


class Connection:
    """One client: reserves, commits, reserves again, for the next customer each time."""

    def __init__(self, order: dict[str, Any], place: int) -> None:
        self.order, self.place, self.number = order, place, 0
        self.socket = socket.create_connection(("127.0.0.1", order["port"]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reserve_seconds: list[float] = []
        self.commit_seconds: list[float] = []
        self.begun = 0.0
        self.in_commit = False
        self.buffer = b""
        self.sent = b""
        self.retried = 0

    def reserve(self) -> None:
        """Ask for the next call."""
        customers = self.order["customers"]
        turn = self.number * self.order["clients"] + self.place
        self.secret = customers[turn % len(customers)]
        call = turn // len(customers)
        run = call // CALLS_OF_A_RUN
        body = BODY % (f"{self.order['name']}-{run}", f"user-{run % USERS}", call % CALLS_OF_A_RUN)
        self.number += 1
        self._send("/v1/reservations", "reserve", body.encode())

    def _send(self, path: str, call: str, body: bytes) -> None:
        key = f"{call}-{self.order['name']}-{self.place}-{self.number}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.secret}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.sent = head.encode() + body
        self.begun = time.perf_counter()
        self.socket.sendall(self.sent)

    def receive(self) -> bool:
        """Take what has come; returns whether a lifecycle ended with it."""
        self.buffer += self.socket.recv(65_536)
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return False
        taken, self.buffer = time.perf_counter() - self.begun, b""
        if b'"retryable":true' in body:  # again with its key, as clients do; the time goes on
            self.retried += 1
            self.socket.sendall(self.sent)
            return False
        if head[9:12] not in (b"200", b"201"):
            raise Refused(f"{head[:20]!r} {body[:400]!r}")
        if self.in_commit:
            self.commit_seconds.append(taken)
            self.in_commit = False
            return True
        self.reserve_seconds.append(taken)
        self.in_commit = True
        start = body.index(b'"id":"') + 6
        self._send(f"/v1/reservations/{body[start : start + 36].decode()}/commit", "commit", COMMIT)
        return False


def _length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    return int(lowered[start:].split(b"\r\n", 1)[0])


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Keep that many clients busy for that long, let what is in flight end, and return what all calls took."""
    selector = selectors.DefaultSelector()
    clients = [Connection(order, place) for place in range(order["clients"])]
    begun = time.perf_counter()
    until = begun + order["seconds"]
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.reserve()
    busy = len(clients)
    while busy:
        for key, _ in selector.select(timeout=30):
            client = key.data
            if client.receive():
                if time.perf_counter() < until:
                    client.reserve()
                else:
                    busy -= 1
    taken = time.perf_counter() - begun
    reserve = [seconds for client in clients for seconds in client.reserve_seconds]
    commit = [seconds for client in clients for seconds in client.commit_seconds]
    retried = sum(client.retried for client in clients)
    return {
        "seconds": taken,
        "cpu": time.process_time(),
        "reserve": reserve,
        "commit": commit,
        "retried": retried,
    }


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
