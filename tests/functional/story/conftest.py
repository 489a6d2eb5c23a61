"""The demo data and a play of its own on a real web server and worker."""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.children import Child
from sandbox.demo import load_demo
from sandbox.story.api import Keys
from sandbox.story.calls import Account, Caller
from sandbox.story.checks import Checks
from sandbox.story.customer import Customer, open_customer
from sandbox.story.play import Play
from sandbox.story.proof import Books
from sandbox.story.stage import build
from sandbox.story.transcript import WIDTH, Transcript
from tests.builders.stripe import Simulator


@dataclass
class Theatre:
    """Everything that a play needs, and what it printed."""

    urls: dict[str, str]
    demo: dict[str, Any]
    home: Path
    transcript: Transcript
    printed: Callable[[], str]


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Path:
    """The file of the demo data, which is in this session's database."""
    path = tmp_path_factory.mktemp("demo") / "run" / "demo.json"
    assert load_demo(path=path)
    return path


@pytest.fixture
def theatre(web: str, beat: Child, demo_file: Path, stripe_simulator: Simulator) -> Theatre:
    """Servers with demo data, and a Stripe that tells them."""
    stripe_simulator.register(f"{web}/webhooks/stripe/")
    output = io.StringIO()
    transcript = Transcript(console=Console(file=output, width=WIDTH, highlight=False))
    urls = {
        "http": web,
        "stripe": stripe_simulator.url,
        "database_readonly": os.environ["DATABASE_READONLY_URL"],
    }
    demo = json.loads(demo_file.read_text(encoding="utf-8"))
    home = (
        Path(os.environ["COUNTERFOIL_HOME"]) if "COUNTERFOIL_HOME" in os.environ else demo_file.parent.parent
    )
    return Theatre(urls, demo, home, transcript, output.getvalue)


@pytest.fixture
def play(theatre: Theatre) -> Iterator[Play]:
    """A play before its first act."""
    stage = build(url=theatre.urls["http"], platform_key=theatre.demo["platform_key"], keys=Keys())
    yield Play(
        stage=stage,
        caller=Caller(api=stage.api, account=Account()),
        checks=Checks(say=theatre.transcript.holds),
        books=Books(
            url=theatre.urls["database_readonly"],
            organization=stage.organization,
            budgets=stage.budgets.values(),
        ),
        transcript=theatre.transcript,
    )
    stage.api.close()


@pytest.fixture
def customer(theatre: Theatre, play: Play) -> Iterator[Customer]:
    """The customer of the acts on billing."""
    made = open_customer(
        url=theatre.urls["http"], platform_key=theatre.demo["platform_key"], keys=play.stage.api.keys
    )
    yield made
    made.close()
