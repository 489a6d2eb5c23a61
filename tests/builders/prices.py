"""A price source with prices that differ from the book's, imported by the operation."""

from datetime import datetime
from uuid import UUID

from events.store import Cursor
from spend.operations.prices.genai_source import BEGINNING, PriceSource, SourceModel, SourceVersion
from spend.operations.prices.importing import import_prices
from spend.rules.prices import ComponentPrice
from tests.builders.orgs import unique, write


def from_source(model: str, price: int, valid_from: datetime = BEGINNING) -> None:
    """Import a model of the provider acme at this price per million input tokens."""
    version = SourceVersion(valid_from, None, {"input": ComponentPrice(price * 10**12)})
    found = SourceModel("acme", model, 0, {"starts_with": model}, 128_000, False, (version,))
    source = PriceSource("test-source", f"1.{price}", {"acme": ()}, (found,))
    write(lambda cur: import_prices(cur, actor="system:test", source=source))


def waiting_change(before: int = 2, after: int = 5) -> tuple[str, UUID]:
    """A model whose source has another price than the book: its name and the price change that waits."""
    model = unique("model")
    from_source(model, before)
    from_source(model, after)
    return model, open_change(model)


def open_change(model: str) -> UUID:
    """The price change of a model that waits."""

    def read(cur: Cursor) -> UUID:
        cur.execute("SELECT id FROM price_changes WHERE model = %s AND status = 'proposed'", (model,))
        ((found,),) = cur.fetchall()
        return UUID(str(found))

    return write(read)
