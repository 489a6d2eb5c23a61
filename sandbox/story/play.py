"""What the acts of one play share."""

from dataclasses import dataclass

from sandbox.story.amounts import units
from sandbox.story.calls import Account, Caller, Done, Refused, Work
from sandbox.story.checks import Checks
from sandbox.story.proof import Books
from sandbox.story.stage import Stage
from sandbox.story.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Layer:
    """A budget's figures in units."""

    scope: str
    target: str | None
    limit: int
    spent: int
    held: int


@dataclass(frozen=True, slots=True)
class Play:
    """One play: the stage, who calls, the client's own account, the checks, and where it is told."""

    stage: Stage
    caller: Caller
    checks: Checks
    books: Books
    transcript: Transcript

    @property
    def account(self) -> Account:
        """The client's own account."""
        return self.caller.account

    def make(self, work: Work, *, step: int) -> Done:
        """Make a call that nothing should stop. Raises InvariantBroken when it is refused."""
        result = self.caller.make(work, step=step)
        if isinstance(result, Refused):
            self.checks.true(
                "S33", f"a call of {work.agent.key} that fits is allowed", holds=False,
                found=f"{result.answer.status} {result.answer.raw.decode()}",
            )  # fmt: skip
        assert isinstance(result, Done)
        return result

    def layers(self, answer: Done | Refused) -> list[Layer]:
        """Return the budgets that an answer of the gate shows."""
        shown = [answer.binding] if isinstance(answer, Refused) else answer.reserve.body["budgets"]
        return [
            Layer(
                item["scope"], item["target"], units(item["limit"]), units(item["spent"]), units(item["held"])
            )
            for item in shown
        ]
