"""What a person sees while everything starts."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Step:
    """One thing that is being done; a note about it is shown when it is done."""

    def __init__(self) -> None:
        self.text = ""

    def note(self, text: str) -> None:
        self.text = text


class Progress:
    """Steps with a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step while it is under way, and its time when it is done."""
        step, started_at = Step(), time.monotonic()
        with self.console.status(f"{title} …"):
            yield step
        seconds = time.monotonic() - started_at
        note = f"  [dim]{escape(step.text)}[/dim]" if step.text else ""
        self.console.print(f"[green]✓[/green] {title} [dim]({seconds:.1f} s)[/dim]{note}")

    def say(self, text: str) -> None:
        self.console.print(escape(text))

    def fail(self, text: str) -> None:
        self.console.print(f"[red]✗[/red] {escape(text)}", soft_wrap=True)

    def logins(self, *, urls: Mapping[str, str], demo: Mapping[str, Any], home: Path) -> None:
        """Show the addresses, and the demo's users and keys when there are any."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_row("Admin", f"{urls['http']}/admin/")
        table.add_row("API", f"{urls['http']}/v1/docs")
        if "stripe" in urls:
            table.add_row("Stripe", f"simulated, at {urls['stripe']}")
        for person in demo.get("staff", []):
            login = f"{person['username']} / {person['password']}  ({person['role']})"
            table.add_row("Log in", escape(login))
        for organization in demo.get("organizations", []):
            table.add_row(f"Key of {escape(organization['name'])}", escape(organization["api_key"]))
        table.add_row("State", escape(str(home)))
        table.add_row("Logs", escape(str(home / "log")))
        self.console.print(table)
