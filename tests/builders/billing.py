"""What billing's tests need: customers that owe something, their runs, and their invoices over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing.operations.billing import bill_customer
from billing.queries.invoices import LineRow, lines_of, list_invoices
from billing.rules.invoices import Invoice
from billing.rules.items import NewItem, items_event_data
from events.store import Cursor, Event, append
from orgs.operations.locks import lock_organization
from tests.builders.catalog import make_entity
from tests.builders.gate import Customer, make_customer
from tests.builders.orgs import Caller, caller, platform, unique, write
from tests.invariants import assert_sound, picture, reading

CENT = 1_000_000
DOLLAR = 100 * CENT
DUE = datetime(2026, 3, 1, tzinfo=UTC)

# Each query gives the rows that break an invariant of billing, for the organization in %(organization)s.
CHECKS = {
    "an invoice's lines and tax sum to its total": """
        SELECT i.id FROM invoices i LEFT JOIN (SELECT invoice_id, sum(amount) AS amount, sum(discount) AS discount,
            sum(net) AS net, sum(tax) AS tax FROM invoice_lines GROUP BY 1) l ON l.invoice_id = i.id
        WHERE i.organization = %(organization)s AND (i.subtotal, i.discount, i.net, i.tax)
            IS DISTINCT FROM (l.amount, l.discount, l.net, l.tax)
    """,
    "the postings of a finalised invoice are its total": """
        SELECT i.id, i.total, p.posted FROM invoices i LEFT JOIN (
            SELECT e.entry_id,
                sum(p.amount) FILTER (WHERE p.account_kind IN ('receivable', 'customer_credit')) AS posted
            FROM v_entries e JOIN v_postings p USING (entry_id) WHERE e.kind = 'invoice' GROUP BY 1) p
            ON p.entry_id = i.entry
        WHERE i.organization = %(organization)s AND i.finalized_at IS NOT NULL AND -i.total <> COALESCE(p.posted, 0)
    """,
    "B1 an item is on the line of its own invoice": """
        SELECT l.invoice_id, l.n FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
        LEFT JOIN invoice_items t ON t.id = l.item_id AND t.invoice_id = l.invoice_id AND t.line = l.n
        WHERE i.organization = %(organization)s AND i.status <> 'void' AND l.item_id IS NOT NULL AND t.id IS NULL
    """,
    "receivable is what is due on finalised invoices, and what disputes may bring back": """
        SELECT b.posted, d.due, p.pending FROM v_balances b, LATERAL (
            SELECT COALESCE(sum(total - paid - credited - written_off), 0) AS due FROM invoices
            WHERE organization = b.organization AND status IN ('open', 'paid', 'uncollectible') AND total > 0) d,
            LATERAL (SELECT COALESCE(sum(invoice_back - reopened), 0) AS pending FROM payments
            WHERE organization = b.organization) p
        WHERE b.organization = %(organization)s AND b.account_kind = 'receivable' AND -b.posted <> d.due + p.pending
    """,
    "progressive billing counts the use on the period's living invoices": """
        SELECT b.organization, b.progressive->>'billed', l.billed FROM billing_customers b, LATERAL (
            SELECT COALESCE(sum(l.amount - l.remainder), 0) AS billed FROM invoice_lines l
            JOIN invoices i ON i.id = l.invoice_id WHERE i.organization = b.organization AND l.kind = 'usage'
                AND i.cause = 'threshold' AND i.status <> 'void' AND i.period_start = b.cycle_start) l
        WHERE b.organization = %(organization)s AND COALESCE((b.progressive->>'billed')::bigint, 0) <> l.billed
    """,
    "B5 unbilled is what was postpaid and is on no living, finalised invoice": """
        SELECT b.posted, u.used, l.billed FROM v_balances b, LATERAL (
            SELECT COALESCE(sum((p->>2)::bigint), 0) AS used FROM usage_records u, json_array_elements(u.funding) p
            WHERE u.organization = b.organization AND p->>0 = 'postpaid') u, LATERAL (
            SELECT COALESCE(sum(l.amount - l.remainder), 0) AS billed FROM invoice_lines l
            JOIN invoices i ON i.id = l.invoice_id WHERE i.organization = b.organization
                AND l.account = 'unbilled_receivable' AND i.status IN ('open', 'paid', 'uncollectible')) l
        WHERE b.organization = %(organization)s AND b.account_kind = 'unbilled_receivable'
            AND -b.posted <> u.used - l.billed
    """,
}


def item(**given: Any) -> NewItem:
    """An item over 49.00 USD that is due on 1 March 2026, unless said otherwise."""
    values: dict[str, Any] = {
        "kind": "recurring",
        "description": "Advanced plan",
        "currency": "USD",
        "amount": 49 * DOLLAR,
        "due_at": DUE,
        **given,
    }
    return NewItem(**values)


def owe(organization: UUID, *new: NewItem) -> list[UUID]:
    """Make the customer owe these items, each by an event of its own; their ids."""

    def operation(cur: Cursor) -> None:
        now = lock_organization(cur, organization).now
        for one in new:
            data = {"items": items_event_data([one])}
            append(
                cur, [Event(organization, "invoice_item", one.id, 1, "invoice_item.added", data, now, "test")]
            )

    write(operation)
    return [one.id for one in new]


@dataclass(frozen=True)
class Billed:
    """A customer of the gate, with its books, its own key that reads invoices, and finance's."""

    customer: Customer
    reader: Caller
    finance: Caller

    @property
    def id(self) -> UUID:
        """The organization."""
        return self.customer.id

    def use(self, *amounts: str, **given: Any) -> None:
        """Calls of these amounts, reserved and committed."""
        for amount in amounts:
            reserved = self.customer.reserved(amount, **given)
            assert self.customer.commit(reserved["id"], amount).status_code == 200

    def pass_months(self, months: int = 1) -> None:
        """Move the clock by as many times 31 days."""
        self.customer.pass_time(days=31 * months)

    def run(self) -> int:
        """Do what is due; how many steps that were."""
        return bill_customer(organization=self.id)

    def invoices(self) -> list[dict[str, Any]]:
        """The invoices as the customer reads them, oldest first."""
        found: list[dict[str, Any]] = self.reader.get("/v1/invoices", limit="100").json()["data"]
        return found[::-1]

    def only(self) -> dict[str, Any]:
        """The only invoice."""
        (found,) = self.invoices()
        return found

    def lines(self, invoice: str) -> list[dict[str, Any]]:
        """An invoice's lines."""
        found: list[dict[str, Any]] = self.reader.get(f"/v1/invoices/{invoice}/lines", limit="100").json()[
            "data"
        ]
        return found

    def act(self, invoice: str, verb: str, body: Any = None, *, key: str | None = None) -> Any:
        """The answer to POST /v1/invoices/{id}/<verb> by finance."""
        return self.finance.post(f"/v1/invoices/{invoice}/{verb}", body, key=key or unique())

    def pay(self, invoice: str, amount: str, **given: Any) -> Any:
        """The answer to a payment."""
        body = {"amount": amount, "currency": "USD", "method": "bank_transfer", "reference": unique()}
        return self.act(invoice, "pay", {**body, **given})

    def profile(self, **changes: Any) -> None:
        """Change how it is billed."""
        answer = self.finance.patch(f"/v1/billing-profile?organization={self.id}", changes)
        assert answer.status_code == 200, answer.content

    @contextmanager
    def still(self) -> Iterator[None]:
        """A block in which nothing of the customer moves."""
        before = picture(self.id), moving(self.id)
        yield
        assert (picture(self.id), moving(self.id)) == before

    def assert_sound(self) -> None:
        """Fail with what does not hold of the customer's books and invoices."""
        assert_sound(self.id)
        assert billing_violations(self.id) == {}


def billed(country: str = "US", **given: Any) -> Billed:
    """A postpaid customer without credit, with a clock that can be moved, invoiced by a legal entity of its own in
    Germany: taxed where it says another country than the United States. Its drafts wait an hour, and it has 14 days to
    pay: tests let that time pass, not the three days and none of the house."""
    customer = make_customer(given.pop("credit", "0"), **{"funding": "postpaid", **given})
    made = Billed(customer, caller(customer.id, "billing:read"), platform())
    entity = make_entity(currency=given.get("currency", "USD"))
    made.profile(legal_entity=entity.key, tax={"country": country}, grace_hours=1, net_days=14)
    return made


def with_invoice(*amounts: str, **given: Any) -> tuple[Billed, dict[str, Any]]:
    """A customer with one open invoice over calls of these amounts."""
    made = billed(**given)
    made.use(*amounts)
    made.pass_months()
    made.run()
    return made, made.only()


def invoices(organization: UUID) -> list[Invoice]:
    """A customer's invoices, oldest first."""
    found = write(
        lambda cur: list_invoices(
            cur, organization=organization, status=None, number=None, before=None, limit=1000
        )
    )
    return found[::-1]


def lines(invoice: UUID) -> list[LineRow]:
    """The lines of an invoice."""
    return write(lambda cur: lines_of(cur, invoice))


def moving(organization: UUID) -> list[tuple[Any, ...]]:
    """What of an organization's billing a call may move."""
    statements = (
        "SELECT id::text, status, version FROM invoices WHERE organization = %s ORDER BY id",
        "SELECT id::text, invoice_id::text, line FROM invoice_items WHERE organization = %s ORDER BY id",
        "SELECT id::text, amount FROM invoice_payments WHERE organization = %s ORDER BY id",
        "SELECT id::text, number FROM credit_notes WHERE organization = %s ORDER BY id",
        "SELECT version FROM billing_customers WHERE organization = %s",
    )
    return write(lambda cur: [row for each in statements for row in cur.execute(each, (organization,))])


def billing_violations(organization: UUID) -> dict[str, list[tuple[Any, ...]]]:
    """What does not hold of a customer's invoices, by invariant."""
    named = {"organization": organization}
    with reading() as connection:
        found = {name: connection.execute(sql.encode(), named).fetchall() for name, sql in CHECKS.items()}
    return {name: rows for name, rows in found.items() if rows}
