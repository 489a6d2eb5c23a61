"""Lists: newest first, by cursor, with `has_more`."""

from __future__ import annotations

from typing import Any

from sandbox.stripe.errors import NotExecuted, missing
from sandbox.stripe.world import Body, Call

_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_MOST = 100


class Filter:
    """Conditions in SQL, gathered."""

    def __init__(self) -> None:
        self.where = ""
        self.values: list[Any] = []

    def equal(self, name: str, value: Any) -> Filter:
        """Keep objects whose field has this value; None keeps all."""
        if value is not None:
            self.where += f" AND json_extract(body, '$.{name}') = ?"
            self.values.append(value)
        return self

    def between(self, name: str, bounds: dict[str, int] | None) -> Filter:
        """Keep objects whose field lies within gt, gte, lt, lte."""
        for word, value in (bounds or {}).items():
            column = "created" if name == "created" else f"json_extract(body, '$.{name}')"
            self.where += f" AND {column} {_SIGNS[word]} ?"
            self.values.append(value)
        return self

    def sql(self, text: str, *values: Any) -> Filter:
        self.where += f" AND ({text})"
        self.values.extend(values)
        return self


def limit_of(call: Call) -> int:
    """Return `limit`. Raises NotExecuted outside of 1 to 100."""
    limit = call.params.get("limit")
    if limit is None:
        return 10
    if not 1 <= limit <= _MOST:
        raise NotExecuted(f"Invalid limit: {limit}, must be between 1 and {_MOST}", param="limit")
    return int(limit)


def listed(call: Call, kind: str, url: str, conditions: Filter | None = None) -> Body:
    """Return a page of the account's objects of this kind."""
    conditions = conditions or Filter()
    limit = limit_of(call)
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    if after and before:
        raise NotExecuted(
            "You may only specify one of starting_after and ending_before.", param="ending_before"
        )
    order = "DESC"
    if after:
        conditions.sql("seq < ?", _position(call, kind, after, "starting_after"))
    if before:
        conditions.sql("seq > ?", _position(call, kind, before, "ending_before"))
        order = "ASC"
    rows = call.world.store.select(
        account=call.account, kind=kind, where=conditions.where, values=tuple(conditions.values), order=order,
        limit=limit + 1,
    )  # fmt: skip
    page = rows[:limit]
    return as_list(page if order == "DESC" else page[::-1], url=url, has_more=len(rows) > limit)


def as_list(data: list[Body], *, url: str, has_more: bool = False) -> Body:
    """Return Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _position(call: Call, kind: str, id: str, param: str) -> int:
    found = call.world.store.position(account=call.account, kind=kind, id=id)
    if found is None:
        raise missing(kind.replace(".", " "), id, param=param, status=400)
    return found
