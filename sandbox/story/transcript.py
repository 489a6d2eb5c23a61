"""The transcript: printed as it happens, coloured where the terminal can, and kept for the picture."""

import io
import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.json import JSON
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.terminal_theme import DIMMED_MONOKAI

WIDTH = 110
WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # the picture asks no other server for anything


class Transcript:
    """What the reader of the story sees."""

    def __init__(self, *, console: Console | None = None) -> None:
        self.console = console or Console(width=WIDTH, highlight=False)
        self._acts = 0
        self._printed: list[tuple[int, RenderableType]] = []

    def title(self, text: str, lines: Iterable[str]) -> None:
        """Open the story."""
        body = "\n".join(lines)
        self._print(Panel(body, title=f"[bold]{escape(text)}[/bold]", border_style="cyan", padding=(1, 2)))

    def act(self, text: str) -> None:
        """Open a numbered act."""
        self._acts += 1
        self._print("")
        title = f"[bold cyan]{self._acts}  {escape(text)}[/bold cyan]"
        self._print(Rule(title, align="left", style="cyan"))

    def say(self, text: str) -> None:
        """Tell something; the text may hold markup."""
        self._indented(text)

    def stopped(self, text: str) -> None:
        """Tell that somebody was stopped."""
        self._indented(f"[bold red]■ {text}[/bold red]")

    def holds(self, invariant: str, text: str) -> None:
        """Tell an invariant that was checked and holds."""
        self._indented(f"[green]✓[/green] [dim]{invariant:<3}[/dim] {text}")

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
        self._indented(panel)

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
        self._indented(table)

    def save_picture(self, path: Path, *, acts: Container[int] | None = None) -> None:
        """Keep the transcript, or some of its acts, as a picture."""
        canvas = Console(width=WIDTH, highlight=False, record=True, file=io.StringIO())
        for act, printed in self._printed:
            if acts is None or act in acts:
                canvas.print(printed)
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = canvas.export_svg(title="make run", theme=DIMMED_MONOKAI)
        path.write_text(WEB_FONTS.sub("", picture), encoding="utf-8")

    def _indented(self, renderable: RenderableType) -> None:
        self._print(Padding(renderable, (0, 0, 0, 3)))

    def _print(self, renderable: RenderableType) -> None:
        self._printed.append((self._acts, renderable))
        self.console.print(renderable)
