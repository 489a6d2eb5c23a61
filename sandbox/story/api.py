"""The public HTTP API as a careful client calls it: one key per call, and the same key again when in doubt."""

import csv
import io
import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

RETRIES = 20
PAUSE_SECONDS = 0.5
TIMEOUT_SECONDS = 30


class StoryFailed(Exception):
    """The story cannot go on: an answer was not the one that was due."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call as it was made, so that it can be made again."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, to the byte."""

    sent: Sent
    status: int
    raw: bytes
    body: dict[str, Any]
    is_replay: bool

    @property
    def code(self) -> str | None:
        """The stable code of a refusal."""
        found: str | None = self.body.get("code")
        return found

    def expect(self, status: int) -> dict[str, Any]:
        """Return the body. Raises StoryFailed when the status is another one."""
        if self.status != status:
            text = self.raw.decode(errors="replace")[:1000]
            raise StoryFailed(
                f"{self.sent.method} {self.sent.path} answered {self.status} instead of {status}:\n{text}"
            )
        return self.body


class Keys:
    """Idempotency keys that no other play uses."""

    def __init__(self) -> None:
        self.play = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def next(self, label: str) -> str:
        """Return a new key; the label is for people who read logs."""
        return f"story-{self.play}-{next(self._numbers)}-{label}"


class Api:
    """Calls with one bearer key. Safe to share between threads."""

    def __init__(
        self, *, url: str, bearer: str, keys: Keys, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.keys = keys
        self.resent = 0
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=16),
            transport=transport,
            trust_env=False,
        )

    def fetch(self, path: str) -> Answer:
        """Return what stands there as it is: a document, or a table."""
        return self.send(Sent("GET", path, None, None))

    def get(self, path: str) -> dict[str, Any]:
        """Return the body of what stands there."""
        return self.fetch(path).expect(200)

    def rows(self, path: str) -> list[dict[str, str]]:
        """Return the rows of a CSV that stands there."""
        answer = self.fetch(path)
        answer.expect(200)
        return list(csv.DictReader(io.StringIO(answer.raw.decode())))

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the body of what stands there, None when nothing does."""
        answer = self.fetch(path)
        return None if answer.status == 404 else answer.expect(200)

    def change(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of what stands there; return all of it."""
        return self.send(Sent("PATCH", path, body, None)).expect(200)

    def make(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it."""
        return self.post(path, body).expect(201)

    def act(self, path: str, reason: str) -> dict[str, Any]:
        """Do something to an object, for a reason; return what came of it."""
        answer = self.post(path, {"reason": reason})
        return answer.expect(201 if answer.status == 201 else 200)

    def post(self, path: str, body: Mapping[str, Any] | None, *, key: str | None = None) -> Answer:
        """Send a body under a key of its own, or under the one given."""
        return self.send(Sent("POST", path, body, key or self.keys.next(path.rsplit("/", 1)[-1])))

    def send(self, sent: Sent) -> Answer:
        """Make the call; while nobody can answer (no connection, 503) make it again under the same key."""
        for _ in range(RETRIES):
            answer = self._try(sent)
            if answer is not None and answer.status != 503:
                return answer
            self.resent += 1
            time.sleep(PAUSE_SECONDS)
        raise StoryFailed(f"{sent.method} {sent.path}: no answer after {RETRIES} attempts")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _try(self, sent: Sent) -> Answer | None:
        headers = {"Idempotency-Key": sent.key} if sent.key else {}
        try:
            response = self._client.request(sent.method, sent.path, json=sent.body, headers=headers)
        except httpx.TransportError:
            return None
        is_json = "json" in response.headers.get("Content-Type", "")
        body = response.json() if is_json else {}
        return Answer(
            sent, response.status_code, response.content, body, "Idempotent-Replayed" in response.headers
        )
