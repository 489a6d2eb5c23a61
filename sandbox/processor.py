"""The embedded Stripe: the simulator's process, its key, and the endpoints that an operator would make at Stripe."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sandbox.places import free_port, read_json, write_json

API_VERSION = "2026-10-28.endive"
_ENDPOINTS = {
    "STRIPE_WEBHOOK_SECRETS": ("/webhooks/stripe/", "false"),
    "STRIPE_CONNECT_WEBHOOK_SECRETS": ("/webhooks/stripe/connect/", "true"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """Where the simulator listens and with which key; both are remembered in the state folder."""

    home: Path
    port: int
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def argv(self) -> list[str]:
        """Return the command line; the key stands in the environment, not here."""
        return [sys.executable, "-m", "sandbox.stripe", "--port", str(self.port), "--home", str(self.home)]

    def environment(self) -> dict[str, str]:
        """Return what an operator would set to use it; the webhook secrets come from `endpoints`."""
        return {"STRIPE_API_KEY": self.key, "STRIPE_API_BASE": self.url}

    def is_live(self) -> bool:
        try:
            with urlopen(f"{self.url}/_sim/health", timeout=0.5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def endpoints(self, *, web: str) -> dict[str, str]:
        """Make the two webhook endpoints for our web, or point those that are there at it; returns the variables
        with their secrets, which Stripe tells once: they are kept in the state folder."""
        path = self.home / "stripe" / "endpoints.json"
        kept: dict[str, Any] = read_json(path=path) or {}
        for variable, (route, connect) in _ENDPOINTS.items():
            kept[variable] = self._endpoint(kept.get(variable), url=f"{web}{route}", connect=connect)
        write_json(path=path, value=kept)
        return {variable: endpoint["secret"] for variable, endpoint in kept.items()}

    def _endpoint(self, kept: Mapping[str, str] | None, *, url: str, connect: str) -> dict[str, str]:
        if kept:
            try:
                self._post(f"/v1/webhook_endpoints/{kept['id']}", {"url": url, "disabled": "false"})
            except HTTPError as error:
                if error.code != 404:
                    raise
            else:
                return dict(kept)
        wanted = {"url": url, "enabled_events[0]": "*", "connect": connect, "api_version": API_VERSION}
        made = self._post("/v1/webhook_endpoints", wanted)
        return {"id": made["id"], "secret": made["secret"]}

    def _post(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Stripe-Version": API_VERSION}
        request = Request(f"{self.url}{path}", data=urlencode(form).encode(), headers=headers)
        with urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def processor_at(*, home: Path) -> Processor:
    """Return the state folder's processor, on its remembered port if that is free."""
    path = home / "stripe" / "processor.json"
    kept = read_json(path=path) or {}
    found = Processor(
        home=home,
        port=free_port(preferred=kept.get("port")),
        key=kept.get("key") or f"sk_test_{secrets.token_hex(16)}",
    )
    write_json(path=path, value={"port": found.port, "key": found.key})
    return found


def is_wanted(variables: Mapping[str, str] = os.environ) -> bool:
    """Say whether nobody has named a real Stripe."""
    names = ("STRIPE_API_KEY", "STRIPE_API_BASE")
    return not any(variables.get(name) or variables.get(f"{name}_FILE") for name in names)
