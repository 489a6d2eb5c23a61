"""A contract of a random year: what it commits, and what becomes of it. All of it through HTTP."""

import random
from datetime import date, timedelta
from typing import Any

from billing.rules.plans import MAX_NET_DAYS
from tests.builders.contracted import commitment, document

DAY = timedelta(days=1)


def random_paper(chance: random.Random, today: date) -> dict[str, Any]:
    """A contract's document that begins about now: of any kind and window, mostly with a fee of its own.

    Its days to pay go before those of the customer's profile: with the usual 30, who pays late is soon suspended.
    """
    start = today + chance.randint(0, 20) * DAY
    length = chance.choice((60, 150, 200, 400))
    given: dict[str, Any] = {
        "start": str(start), "end": str(start + length * DAY), "net_days": MAX_NET_DAYS,
    }  # fmt: skip
    if chance.random() < 0.6:
        given["fees"] = [_fee(chance)]
    if chance.random() < 0.15:
        return document(**given)
    kind = chance.choice(("prepaid", "postpaid", "postpaid", "minimum"))
    more: dict[str, Any] = {}
    if kind != "minimum":
        more["overage"] = {"factor": chance.choice(("1", "1.25", "2"))}
        if chance.random() < 0.3:
            more["rollover"] = True
    window = chance.choice(("week", "month", "month", "quarter", "segment"))
    given["commitment"] = commitment(kind, window, **more)
    amounts = [_amount(chance)]
    if chance.random() < 0.4:
        amounts += [str(start + length // 2 * DAY), _amount(chance)]
    return document(*amounts, **given)


def amended_paper(chance: random.Random, paper: dict[str, Any]) -> dict[str, Any]:
    """The next version of it: other amounts, another end, or another fee."""
    changed = {**paper, "term": dict(paper["term"])}
    if paper.get("ramp") and chance.random() < 0.7:
        changed["ramp"] = [{**one, "amount": _amount(chance)} for one in paper["ramp"]]
    if chance.random() < 0.4:
        end = date.fromisoformat(paper["term"]["end"])
        changed["term"]["end"] = str(end + chance.choice((30, 90)) * DAY)
    if chance.random() < 0.4:
        changed["fees"] = [_fee(chance)]
    return changed


def _fee(chance: random.Random) -> dict[str, Any]:
    return {
        "key": "platform",
        "name": "Platform",
        "amount": f"{chance.uniform(1, 80):.2f}",
        "interval": chance.choice(({"unit": "month", "count": 1}, {"unit": "quarter", "count": 1})),
        "timing": chance.choice(("advance", "advance", "arrears")),
        "discountable": chance.random() < 0.5,
    }


def _amount(chance: random.Random) -> str:
    return f"{chance.uniform(2, 60):.2f}"
