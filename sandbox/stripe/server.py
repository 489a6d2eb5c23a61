"""The HTTP side: who calls, in which version, under which key; faults; the answer or its error envelope."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from aiohttp import web

from sandbox.stripe import surface as surface
from sandbox.stripe.due import do_due
from sandbox.stripe.errors import NotExecuted, StripeError
from sandbox.stripe.faults import Fault, Faults
from sandbox.stripe.forms import parse_form
from sandbox.stripe.parameters import checked
from sandbox.stripe.rendering import public, rendered
from sandbox.stripe.routes import Route, find_route
from sandbox.stripe.store import text
from sandbox.stripe.versions import is_known
from sandbox.stripe.world import CURRENT_VERSION, PLATFORM_ID, Body, Call, World, new_id

_FOR_BROWSERS = re.compile(r"/v1/(setup|payment)_intents/[a-z]+_[A-Za-z0-9]+(/confirm)?")
_LONGEST_KEY = 255
_FOREVER_SECONDS = 120.0


class Checker(Protocol):
    """Compares requests and answers with Stripe's published specification; gives what differs."""

    def request(self, method: str, path: str, given: Body) -> list[str]: ...

    def answer(self, method: str, path: str, status: int, body: Any, version: str) -> list[str]: ...

    def event(self, type: str, subject: Body) -> list[str]: ...


@dataclass
class Answer:
    """What goes back; `is_stored` under the idempotency key."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    is_stored: bool = False


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    given: Body
    request_id: str
    key: str | None
    account: str
    version: str

    @property
    def fingerprint(self) -> str:
        said = msgspec.json.encode([self.method, self.path, self.given], order="deterministic")
        return hashlib.sha256(said).hexdigest()


class Api:
    """Stripe's API over one world."""

    def __init__(self, world: World, faults: Faults, checker: Checker | None = None) -> None:
        self.world = world
        self.faults = faults
        self.checker = checker
        self.violations: list[str] = []
        self._under_way: set[tuple[str, str]] = set()
        if checker:
            world.observe = self._check_event

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or do what a fault wants instead."""
        request_id = new_id("req", 14)
        struck = self.faults.strike(request.method, request.path)
        try:
            asked = await self._asked(request, request_id)
        except StripeError as error:
            refused = Asked(request.method, request.path, {}, request_id, None, "", CURRENT_VERSION)
            self._log(refused, _failed(error), struck, replayed=False)
            return self._respond(_failed(error), request_id, None, CURRENT_VERSION)
        under_way = (asked.account, asked.key) if asked.key else None
        if under_way in self._under_way:
            answer = _failed(_conflict(asked.key or ""))
            self._log(asked, answer, struck, replayed=False)
            return self._respond(answer, request_id, asked.key, asked.version)
        if under_way:
            self._under_way.add(under_way)
        try:
            answer = await self._faulty(request, asked, struck)
        finally:
            if under_way:
                self._under_way.discard(under_way)
        return await self._after(request, asked, answer, struck)

    async def _asked(self, request: web.Request, request_id: str) -> Asked:
        headers = request.headers
        is_browser = self._authenticate(headers.get("Authorization", ""))
        form = await _text(request) if request.method == "POST" else request.query_string
        if is_browser and not (_FOR_BROWSERS.fullmatch(request.path) and "client_secret=" in form):
            raise NotExecuted(
                "This API call cannot be made with a publishable API key. Please use a secret API key.",
                status=403, code="secret_key_required",
            )  # fmt: skip
        version = headers.get("Stripe-Version", CURRENT_VERSION)
        if not is_known(version):
            raise NotExecuted(f"Invalid Stripe API version: {version}")
        key = headers.get("Idempotency-Key") if request.method == "POST" else None
        if key is not None and len(key) > _LONGEST_KEY:
            raise NotExecuted(f"Idempotency-Key must be at most {_LONGEST_KEY} characters.")
        account = self._account(headers.get("Stripe-Account", ""), request.method)
        return Asked(
            request.method, request.path, parse_form(form), request_id, key or None, account, version
        )

    def _authenticate(self, header: str) -> bool:
        """Whether it is the publishable key, with which a browser confirms what its page was given the secret of."""
        kind, _, value = header.partition(" ")
        if kind == "Basic":
            value = _decoded(value).partition(":")[0]
        if value == self.world.settings.publishable_key:
            return True
        if value != self.world.settings.key:
            shown = f"{value[:8]}***{value[-4:]}" if value else ""
            message = f"Invalid API Key provided: {shown}" if value else "You did not provide an API key."
            raise NotExecuted(message, status=401, headers={"WWW-Authenticate": "Bearer"})
        return False

    def _account(self, id: str, method: str) -> str:
        """The connected account that is called; "" for the platform."""
        if id in ("", PLATFORM_ID):
            return ""
        found = self.world.store.find(account="", id=id)
        access = found.get("_access") if found and found["object"] == "account" else "none"
        if access == "none" or (access == "read" and method != "GET"):
            raise NotExecuted(
                f"The provided key does not have access to account '{id}' (or that account does not exist, or it is "
                "restricted). Application access may have been revoked.",
                status=403, code="account_invalid",
            )  # fmt: skip
        return id

    # Faults around the work

    async def _faulty(self, request: web.Request, asked: Asked, struck: list[Fault]) -> Answer:
        for fault in struck:
            if fault.kind == "latency":
                await asyncio.sleep(fault.seconds)
        for fault in struck:
            instead = _INSTEAD.get(fault.kind)
            if instead:
                answer = instead()
                answer.headers |= fault.headers()
                self._log(asked, answer, struck, replayed=False)
                return answer
            if fault.kind in ("reset_before", "timeout_before"):
                self._log(asked, Answer(0, b""), struck, replayed=False)
                await _silence(request, fault)
        return self._work(asked, struck)

    async def _after(
        self, request: web.Request, asked: Asked, answer: Answer, struck: list[Fault]
    ) -> web.StreamResponse:
        for fault in struck:
            answer.headers |= fault.headers()
            if fault.kind in ("reset_after", "timeout_after"):
                await _silence(request, fault)
            if fault.kind == "truncated":
                return await _truncated(request, answer)
        return self._respond(answer, asked.request_id, asked.key, asked.version)

    # The work

    def _work(self, asked: Asked, struck: list[Fault]) -> Answer:
        with self.world.store.transaction():
            do_due(self.world)
            found = self._replay(asked)
            answer = found or self._execute(asked, {fault.kind for fault in struck})
            if answer.is_stored and asked.key and not found:
                self.world.store.db.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (asked.account, asked.key, asked.fingerprint, answer.status, answer.body, asked.request_id,
                     self.world.clock.now()),
                )  # fmt: skip
            self._log(asked, answer, struck, replayed=found is not None)
        return answer

    def _replay(self, asked: Asked) -> Answer | None:
        if not asked.key:
            return None
        row = self.world.store.db.execute(
            "SELECT fingerprint, status, body, request FROM answers WHERE account = ? AND key = ?",
            (asked.account, asked.key),
        ).fetchone()
        if row is None:
            return None
        fingerprint, status, body, original = row
        if fingerprint != asked.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{asked.key}' if you meant to execute a different request."
            )
            return _failed(NotExecuted(message, type="idempotency_error"))
        return Answer(status, body, {"Idempotent-Replayed": "true", "Original-Request": original})

    def _execute(self, asked: Asked, kinds: set[str]) -> Answer:
        if "error_before" in kinds:
            return _stored_failure()
        call = Call(self.world, asked.account, asked.version, asked.request_id, asked.key)
        try:
            body = self._run(call, asked)
        except StripeError as error:
            answer = _failed(error)
            answer.is_stored = not isinstance(error, NotExecuted)
            self._check_answer(asked, answer)
            return answer
        answer = Answer(200, msgspec.json.encode(body), is_stored=True)
        self._check_answer(asked, answer)
        return _stored_failure() if "error_after" in kinds else answer

    def _run(self, call: Call, asked: Asked) -> Body:
        known, names = _known_route(asked)
        if self.checker:
            self._report(asked, self.checker.request(asked.method, asked.path, asked.given))
        call.params = checked(asked.given, known.parameters)
        expand = call.params.get("expand")
        self.world.store.db.execute("SAVEPOINT work")
        try:
            return rendered(call, known.handler(call, **names), expand)
        except StripeError as error:
            if not error.keeps_effects:
                self.world.store.db.execute("ROLLBACK TO work")
            raise
        finally:
            self.world.store.db.execute("RELEASE work")

    # Telling

    def _check_answer(self, asked: Asked, answer: Answer) -> None:
        if self.checker:
            body = msgspec.json.decode(answer.body)
            self._report(
                asked, self.checker.answer(asked.method, asked.path, answer.status, body, asked.version)
            )

    def _check_event(self, type: str, subject: Body) -> None:
        if self.checker:
            self.violations += [
                f"event {one}" for one in self.checker.event(type, public(subject, CURRENT_VERSION))
            ]

    def _report(self, asked: Asked, found: list[str]) -> None:
        self.violations += [f"{asked.method} {asked.path}: {one}" for one in found]

    def _log(self, asked: Asked, answer: Answer, struck: list[Fault], *, replayed: bool) -> None:
        entry = {
            "request": asked.request_id, "method": asked.method, "path": asked.path, "params": asked.given,
            "key": asked.key, "account": asked.account or None, "version": asked.version, "status": answer.status,
            "replayed": replayed, "faults": [fault.kind for fault in struck], "at": self.world.clock.now(),
        }  # fmt: skip
        self.world.store.db.execute("INSERT INTO log (entry) VALUES (?)", (text(entry),))

    def _respond(self, answer: Answer, request_id: str, key: str | None, version: str) -> web.Response:
        headers = {"Request-Id": request_id, "Stripe-Version": version, **answer.headers}
        if key:
            headers["Idempotency-Key"] = key
        headers.setdefault("Content-Type", "application/json")
        return web.Response(status=answer.status, body=answer.body, headers=headers)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return ""


async def _text(request: web.Request) -> str:
    try:
        return await request.text()
    except UnicodeDecodeError:
        raise NotExecuted("The body is not UTF-8.") from None


def _known_route(asked: Asked) -> tuple[Route, dict[str, str]]:
    found = find_route(asked.method, asked.path)
    if found is None:
        raise NotExecuted(
            f"Unrecognized request URL ({asked.method}: {asked.path}). Please see https://stripe.com/docs",
            status=404,
        )
    return found


def _failed(error: StripeError) -> Answer:
    return Answer(error.status, msgspec.json.encode(error.envelope()), dict(error.headers))


def _conflict(key: str) -> StripeError:
    return NotExecuted(
        f"There is currently another in-progress request using this Idempotency Key ({key}).",
        status=409, type="idempotency_error", code="idempotency_key_in_use",
    )  # fmt: skip


def _stored_failure() -> Answer:
    error = StripeError("An unknown error occurred. Reach out to support.", status=500, type="api_error")
    answer = _failed(error)
    answer.is_stored = True
    return answer


def _rate_limited() -> Answer:
    error = NotExecuted("Request rate limit exceeded.", status=429, code="rate_limit",
                        headers={"Stripe-Rate-Limited-Reason": "global-rate"})  # fmt: skip
    return _failed(error)


def _locked() -> Answer:
    message = "This object cannot be accessed right now because another request is currently accessing it."
    error = NotExecuted(message, status=429, code="lock_timeout",
                        headers={"Stripe-Rate-Limited-Reason": "resource-specific"})  # fmt: skip
    return _failed(error)


def _html() -> Answer:
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return Answer(502, page, {"Content-Type": "text/html"})


def _forbidden() -> Answer:
    message = "The provided key 'rk_test_***' does not have the required permissions for this endpoint on this account."
    return _failed(NotExecuted(message, status=403))


def _test_only() -> Answer:
    message = "Your account cannot currently make live charges."
    return _failed(NotExecuted(message, code="testmode_charges_only"))


_INSTEAD = {
    "forbidden": _forbidden,
    "test_only": _test_only,
    "rate_limit": _rate_limited,
    "lock_timeout": _locked,
    "conflict": lambda: _failed(_conflict("fault")),
    "html_502": _html,
}


async def _silence(request: web.Request, fault: Fault) -> None:
    """Say nothing: cut the connection now, or keep it open for a while first."""
    if fault.kind.startswith("timeout"):
        await asyncio.sleep(fault.seconds or _FOREVER_SECONDS)
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


async def _truncated(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError
