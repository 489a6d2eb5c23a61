"""The act of proof: replays, the books in the database, and the commands that recompute everything."""

import json
import os
from pathlib import Path
from typing import Any

from rich.markup import escape

from sandbox.story.amounts import money
from sandbox.story.api import Answer
from sandbox.story.cast import RESEARCH
from sandbox.story.play import Play
from sandbox.story.proof import run_command


def replays(play: Play) -> None:
    """A call repeated under its key has the same answer, to the byte, and no second effect."""
    done = next(done for done in play.account.done if done.work.agent is RESEARCH)
    before = play.books.entries()
    again = play.stage.api.send(done.commit.sent)
    same = (done.commit.status, done.commit.raw, True)
    play.checks.equal("S3", "a commit repeated under its key has the same answer, byte for byte", expected=same,
                      found=(again.status, again.raw, again.is_replay), shown=f"{len(again.raw)} bytes")  # fmt: skip
    again = play.stage.api.send(done.reserve.sent)
    play.checks.equal("S3", "so has its reservation, but for the time that remains", expected=_timeless(done.reserve),
                      found=_timeless(again), shown=f"{len(again.raw)} bytes")  # fmt: skip
    play.checks.equal("S3", "neither had a second effect", expected=before, found=play.books.entries())


def books(play: Play) -> None:
    """The read-only views say the same as the API and the client's own account."""
    checks, account = play.checks, play.account
    rows = [(kind, money(posted), money(held)) for kind, posted, held in play.books.accounts()]
    play.transcript.say("")
    play.transcript.table(("ledger account", "posted", "held"), rows, numbers=1)
    play.transcript.say("")
    entries, effects = play.books.entries()
    checks.equal("L1", "every journal entry sums to zero", expected=0, found=play.books.unbalanced_entries(),
                 shown=f"{entries} entries")  # fmt: skip
    checks.equal("S11", "every entry stands for another effect", expected=entries, found=effects)
    checks.equal("S4", "one usage record for each committed call, and their charges are the sum",
                 expected=(len(account.done), account.charged), found=play.books.usage(),
                 shown=f"{len(account.done)} records, {money(account.charged)}")  # fmt: skip
    refusals = len(account.refused) + account.waits
    if not play.stage.api.resent:  # a refusal that got lost on its way is asked for again, and decided again
        checks.equal("S47", "every refusal left a decision", expected=refusals, found=play.books.denials(),
                     shown=f"{refusals}, {account.waits} of them only told to wait")  # fmt: skip
    checks.equal("S8", "no refused call was charged", expected=0, found=play.books.blocked_charges())


def commands(play: Play, *, home: Path) -> None:
    """Everything is recomputed from the facts by other code than wrote it."""
    environment = {**os.environ, "COUNTERFOIL_HOME": str(home)}
    for invariant, statement, arguments in (
        ("E2", "verify_ledger: the seals and the books are whole", ("verify_ledger",)),
        ("E1", "rebuild --check: all projections follow from the events", ("rebuild", "--check")),
    ):
        holds, said = run_command(*arguments, environment=environment)
        play.checks.true(invariant, statement, holds=holds, shown=f"[dim]{escape(said)}[/dim]", found=said)


def _timeless(answer: Answer) -> Any:
    """The answer without the one field that is computed anew."""
    fields = json.loads(answer.raw)
    fields.pop("remaining_ttl_ms", None)
    return answer.status, fields
