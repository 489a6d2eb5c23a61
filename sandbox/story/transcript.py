"""The transcript: printed as it happens, coloured where the terminal can, and kept for the picture."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.json import JSON
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.terminal_theme import DIMMED_MONOKAI

WIDTH = 110
WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # the picture asks no other server for anything


class Transcript:
    """What the reader of the story sees."""

    def __init__(self, *, console: Console | None = None) -> None:
        self.console = console or Console(width=WIDTH, highlight=False, record=True, soft_wrap=False)
        self._acts = 0

    def title(self, text: str, lines: Iterable[str]) -> None:
        """Open the story."""
        self.console.print()
        body = "\n".join(lines)
        self.console.print(
            Panel(body, title=f"[bold]{escape(text)}[/bold]", border_style="cyan", padding=(1, 2))
        )

    def act(self, text: str) -> None:
        """Open a numbered act."""
        self._acts += 1
        self.console.print()
        self.console.rule(f"[bold cyan]{self._acts}  {escape(text)}[/bold cyan]", align="left", style="cyan")

    def say(self, text: str) -> None:
        """Tell something; the text may hold markup."""
        self.console.print(Padding(text, (0, 0, 0, 3)))

    def stopped(self, text: str) -> None:
        """Tell that somebody was stopped."""
        self.console.print(Padding(f"[bold red]■ {text}[/bold red]", (0, 0, 0, 3)))

    def holds(self, invariant: str, text: str) -> None:
        """Tell an invariant that was checked and holds."""
        self.console.print(Padding(f"[green]✓[/green] [dim]{invariant:<3}[/dim] {text}", (0, 0, 0, 3)))

    def fails(self, text: str) -> None:
        """Tell loudly why the story ends here."""
        self.console.print()
        self.console.print(
            Panel(escape(text), title="[bold]The story does not hold[/bold]", border_style="bold red")
        )

    def answer(self, title: str, text: str) -> None:
        """Show a JSON answer of the API."""
        panel = Panel(
            JSON(text, indent=2), title=f"[dim]{escape(title)}[/dim]", title_align="left", border_style="dim"
        )
        self.console.print(Padding(panel, (0, 0, 0, 3)))

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int, total: bool = False
    ) -> None:
        """Show a table; from column `numbers` on the columns are figures, and with `total` the last row sums up."""
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place >= numbers else "left", no_wrap=True)
        listed = list(rows)
        for place, row in enumerate(listed):
            table.add_row(*row, style="bold" if total and place == len(listed) - 1 else None)
        self.console.print(Padding(table, (0, 0, 0, 3)))

    def save_picture(self, path: Path) -> None:
        """Keep the whole transcript as a picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = self.console.export_svg(title="make run", theme=DIMMED_MONOKAI)
        path.write_text(WEB_FONTS.sub("", picture), encoding="utf-8")
