"""The load generator in Python, for a machine without a C compiler: `python -m tests.bench.load`, arguments as load.c.

Keep-alive connections over one selector and answers searched as bytes. It takes several times the CPU of load.c, and
its waits end on whole milliseconds, so arrivals of an open loop are up to one late; that counts as latency.
"""

import json
import random
import selectors
import socket
import sys
import time
from collections import Counter, deque
from typing import Any

RESERVE = (
    '{"subject":{"agent":"bot","workflow":"report","run":"%s-%d","user":"user-%d","step":%d},'
    '"action":{"kind":"llm.chat","provider":"anthropic","model":"claude-sonnet-4-5"},'
    '"estimate":{"input_tokens":1800,"max_output_tokens":900},"currency":"USD"}'
)
COMMIT = (
    b'{"outcome":"completed","usage":{"input_tokens":1730,"cache_read_input_tokens":1200,"output_tokens":412},'
    b'"latency_ms":1840,"response_id":"msg_000000000000000000000001"}'
)
CALLS_OF_A_RUN, USERS = 20, 50
PAUSE_SECONDS = 0.02  # before a call that may be retried goes out again, with its key
PATIENCE_SECONDS = 15.0


class Refused(Exception):
    """The server answered something else than what a call that is granted gets."""


class Client:
    """One keep-alive connection, and the call that is under way on it."""

    def __init__(self, load: "Load", place: int) -> None:
        self.load, self.place, self.number = load, place, 0
        self.socket: socket.socket | None = None
        self.secret, self.due, self.in_commit, self.busy = "", 0.0, False, False
        self.buffer = self.sent = b""
        self.connect()

    def connect(self) -> socket.socket:
        """Open the connection."""
        self.socket = socket.create_connection(("127.0.0.1", self.load.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)
        return self.socket

    def reserve(self, due: float) -> None:
        """Begin a lifecycle that was to begin at `due`."""
        load = self.load
        # In a closed loop each client walks through the customers by itself, so that all of them are met equally.
        turn = load.next_turn() if load.rate else self.number * load.count + self.place
        self.secret = load.secrets[turn % len(load.secrets)]
        call = turn // len(load.secrets)
        run = call // CALLS_OF_A_RUN
        self.number += 1
        self.due, self.in_commit, self.busy = due, False, True
        load.busy += 1
        body = RESERVE % (load.name, run, run % USERS, call % CALLS_OF_A_RUN)
        self._send("/v1/reservations", "reserve", body.encode())

    def _send(self, path: str, call: str, body: bytes) -> None:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.secret}\r\n"
            f"Idempotency-Key: {call}-{self.load.name}-{self.place}-{self.number}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.sent = head.encode() + body
        self.send_again()

    def send_again(self) -> None:
        """Send the call, once more where it may be retried; the server may have hung up on an idle connection."""
        (self.socket or self.connect()).sendall(self.sent)

    def receive(self) -> None:
        """Take what has come."""
        assert self.socket is not None
        part = self.socket.recv(65_536)
        if not part:
            self._hung_up()
            return
        self.buffer += part
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if separator and len(body) >= _length(head):
            self.buffer = b""
            self._answered(int(head[9:12]), body)

    def _hung_up(self) -> None:
        if self.busy:
            raise Refused("the server hung up in a call")
        assert self.socket is not None
        self.load.selector.unregister(self.socket)
        self.socket.close()
        self.socket = None

    def _answered(self, status: int, body: bytes) -> None:
        at, load = time.perf_counter(), self.load
        load.statuses[status] += 1
        if status not in (200, 201):
            load.refused(self, at, body)
        elif self.in_commit:
            load.commits.append(at - self.due)
            load.end(self, at)
        else:
            load.reserves.append(at - self.due)
            start = body.index(b'"id":"') + 6
            self.in_commit, self.due = True, at
            self._send(f"/v1/reservations/{body[start : start + 36].decode()}/commit", "commit", COMMIT)


class Load:
    """A closed loop (`rate` 0) or an open one, and what it has measured so far."""

    def __init__(
        self, *, port: int, clients: int, seconds: float, rate: float, name: str, seed: int, lenient: bool,
        secrets: list[str],
    ) -> None:  # fmt: skip
        self.port, self.count, self.seconds, self.rate = port, clients, seconds, rate
        self.name, self.lenient, self.secrets = name, lenient, secrets
        self.selector = selectors.DefaultSelector()
        self.random = random.Random(seed)
        self.turns = self.busy = self.retried = self.unfinished = 0
        self.reserves: list[float] = []
        self.commits: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.paused: deque[tuple[float, Client]] = deque()  # all wait equally long
        self.waiting: deque[float] = deque()  # when lifecycles were due that no client was free for
        self.until = 0.0
        self.clients = [Client(self, place) for place in range(clients)]
        self.idle = list(self.clients)

    def next_turn(self) -> int:
        """The number of the next lifecycle of an open loop."""
        self.turns += 1
        return self.turns - 1

    def refused(self, client: Client, at: float, body: bytes) -> None:
        """Repeat what may be repeated; anything else ends the run, or when lenient the lifecycle."""
        if b'"retryable":true' in body:
            self.retried += 1
            if at < self.until:
                self.paused.append((at + PAUSE_SECONDS, client))
                return
            self.unfinished += 1  # nobody waits for it any longer
        elif not self.lenient:
            raise Refused(f"{body[:400]!r}")
        self.end(client, at)

    def end(self, client: Client, at: float) -> None:
        """A lifecycle is over: the client takes the next one."""
        client.busy = False
        self.busy -= 1
        if self.waiting:
            client.reserve(self.waiting.popleft())
        elif self.rate:
            self.idle.append(client)
        elif at < self.until:
            client.reserve(at)

    def run(self) -> dict[str, Any]:
        """Run for the seconds, let what is in flight end, and return what all calls took."""
        cpu, begun = time.process_time(), time.perf_counter()
        self.until = begun + self.seconds
        due = begun + self._gap() if self.rate else float("inf")
        if not self.rate:
            for client in self.clients:
                client.reserve(begun)
        while True:
            at = time.perf_counter()
            while due <= at and due < self.until:
                self._arrive(due)
                due += self._gap()
            while self.paused and self.paused[0][0] <= at:
                self.paused.popleft()[1].send_again()
            if due >= self.until and not self.busy:
                break
            if at > self.until + PATIENCE_SECONDS:
                self._give_up(at)
                break
            self._wait(at, due)
        return self._found(time.perf_counter() - begun, time.process_time() - cpu)

    def _gap(self) -> float:
        return self.random.expovariate(self.rate)

    def _arrive(self, due: float) -> None:
        if self.idle:
            self.idle.pop().reserve(due)
        else:
            self.waiting.append(due)

    def _wait(self, at: float, due: float) -> None:
        wake = due if due < self.until else self.until + PATIENCE_SECONDS + 0.001
        if self.paused:
            wake = min(wake, self.paused[0][0])
        for key, _ in self.selector.select(timeout=max(0.0, wake - at)):
            key.data.receive()

    def _give_up(self, at: float) -> None:
        """What has no answer by now has taken at least this long."""
        for client in self.clients:
            if client.busy:
                (self.commits if client.in_commit else self.reserves).append(at - client.due)
        self.reserves += [at - due for due in self.waiting]
        self.unfinished += self.busy + len(self.waiting)

    def _found(self, seconds: float, cpu: float) -> dict[str, Any]:
        return {
            "seconds": seconds, "cpu": cpu, "retried": self.retried, "unfinished": self.unfinished,
            "statuses": dict(self.statuses), "reserve": self.reserves, "commit": self.commits,
        }  # fmt: skip


def _length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(b"content-length:") + 15
    return int(lowered[start:].split(b"\r\n", 1)[0])


def main() -> None:
    """Do what the command line says; the customers' keys on stdin, what was found on stdout."""
    port, clients, seconds, rate, name, seed, lenient = sys.argv[1:]
    load = Load(
        port=int(port), clients=int(clients), seconds=float(seconds), rate=float(rate), name=name,
        seed=int(seed), lenient=lenient == "1", secrets=sys.stdin.read().split(),
    )  # fmt: skip
    json.dump(load.run(), sys.stdout)


if __name__ == "__main__":
    main()
