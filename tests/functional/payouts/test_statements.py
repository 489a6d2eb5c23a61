"""Statements of partners: they chain, say everything once, and are the same bytes for ever (S104)."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import psycopg
import typst

from common.money import parse_amount
from events.store import Cursor
from orgs.operations.clock import advance_clock_to
from orgs.operations.locks import lock_organization
from payouts.operations.statements import make_statement
from payouts.queries.references import references_of
from payouts.queries.statements import TEMPLATE, addressee_of, inputs_of, statements_of, year_of
from payouts.rules.references import References
from payouts.rules.statements import next_month
from tests.builders.catalog import make_entity
from tests.builders.gate import Customer
from tests.builders.marketplace import Seller, calling, make_seller, settled, spend
from tests.builders.orgs import AUTHOR, caller, platform, unique, write
from tests.database import Session
from tests.invariants import assert_sound


def end_month(seller: Seller) -> None:
    """Go on to the second day of the partner's next month."""
    now = write(lambda cur: lock_organization(cur, seller.id).now)
    first = next_month(now.astimezone(UTC).date())
    to = datetime(first.year, first.month, 2, tzinfo=UTC)
    write(lambda cur: advance_clock_to(cur, organization=seller.id, to=to, author=AUTHOR))


def state(seller: Seller) -> Any:
    return write(lambda cur: make_statement(cur, organization=seller.id))


def listed(seller: Seller) -> list[dict[str, Any]]:
    answer = seller.api.get("/v1/partner/statements")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_statement_says_what_each_customer_brought_and_chains() -> None:
    seller = make_seller()
    one, other = calling(seller), calling(seller)
    spend(one, "10", "5")
    spend(other, "1")
    assert state(seller) is None  # the month is not over
    end_month(seller)

    first = state(seller)

    assert first is not None
    assert (first.opening, first.earned, first.closing) == (0, parse_amount("12.8"), parse_amount("12.8"))
    assert sorted(line["calls"] for line in first.document["lines"]) == [1, 2]
    assert (first.document["gross"], first.document["fees"]) == (parse_amount("16"), parse_amount("3.2"))
    assert str(one.id) not in str(first.document)
    end_month(seller)
    second = state(seller)
    assert second is not None
    assert (second.opening, second.earned, second.closing, second.counter) == (
        first.closing,
        0,
        first.closing,
        2,
    )


def shared_by_three() -> tuple[Seller, Seller, Seller, Customer]:
    """A listing at 20 %: half of the rest is its owner's, a quarter each of two others."""
    owner, second, third = make_seller(), make_seller(), make_seller()
    owner.share(fee_rate=200_000, splits=((owner.id, 2), (second.id, 1), (third.id, 1)))
    return owner, second, third, calling(owner)


def test_the_statements_of_all_parties_say_together_what_the_platform_kept() -> None:
    *sellers, customer = shared_by_three()
    spend(customer, "10", "0.00000003", "7")
    entries = platform().get(f"/v1/entries?organization={customer.id}&kind=usage").json()["data"]
    path = f"/v1/entries/{entries[0]['id']}/reverse"
    assert platform().post(path, {"reason": "broken"}, key=unique()).status_code == 201
    for seller in sellers:
        end_month(seller)

    made = [state(seller).document for seller in sellers]

    assert [one["gross"] for one in made] == [
        parse_amount(text) for text in ("5.00000002", "2.50000001", "2.5")
    ]
    assert sum(one["fees"] for one in made) == parse_amount("2.00000001")
    assert [one["earned"] for one in made] == [
        parse_amount(text) for text in ("4.00000001", "2.00000001", "2")
    ]
    told = sellers[0].api.get("/v1/partner/earnings").json()["total"]
    assert (told["gross"], told["earned"]) == ("5.00000002", "4.00000001")
    assert_sound(customer.id)


def test_what_is_told_after_a_statement_stands_on_the_next_one() -> None:
    seller = make_seller()
    customer = calling(seller)
    spend(customer, "10")
    end_month(seller)
    assert state(seller).earned == parse_amount("8")
    spend(customer, "20")  # on the customer's clock it is still the same month

    end_month(seller)

    late = state(seller)
    assert (late.opening, late.earned, late.closing) == tuple(
        parse_amount(text) for text in ("8", "16", "24")
    )


def names_of(seller: Seller) -> References:
    return write(lambda cur: references_of(cur, seller.id))


def test_customers_are_called_what_nobody_works_out_who_knows_them() -> None:
    seller, other = make_seller(), make_seller()
    customer = calling(seller)
    spend(customer, "1")
    end_month(seller)
    (line,) = state(seller).document["lines"]
    told = seller.api.get("/v1/partner/earnings", group_by="customer").json()["data"]
    assert line["customer"] == told[0]["customer"] == str(names_of(seller).of("customer", customer.id))
    guesses = {f"{kind}:{seller.id}:{customer.id}" for kind in ("customer", "agent")}
    assert line["customer"] not in {str(uuid5(NAMESPACE_OID, guess)) for guess in guesses}
    assert line["customer"] != str(names_of(other).of("customer", customer.id))


def renamed(seller: Seller, name: str, other: str) -> None:
    """Statements that call a customer otherwise, past the code."""
    statement = (
        "UPDATE partner_statements SET document = replace(document::text, %s, %s)::jsonb"
        " WHERE organization = %s"
    )
    write(lambda cur: cur.execute(statement, (name, other, seller.id)))


def test_a_statement_goes_on_from_one_that_called_its_customers_otherwise() -> None:
    seller = make_seller()
    customer = calling(seller)
    spend(customer, "10")
    end_month(seller)
    first, names = state(seller), names_of(seller)
    old, new = str(names.before(customer.id)), str(names.of("customer", customer.id))
    renamed(seller, new, old)
    spend(customer, "20")
    end_month(seller)
    (line,) = state(seller).document["lines"]
    renamed(seller, old, new)  # as the events have it
    assert first.earned == parse_amount("8")
    assert (line["customer"], line["calls"], line["share"]) == (new, 1, parse_amount("16"))


def test_a_month_in_which_references_changed_names_each_customer_once(test_session: Session) -> None:
    seller = make_seller(holdback_days=0)
    customer = calling(seller)
    for amount in ("10", "20"):
        spend(customer, amount)
        settled(customer.id)
        customer.pass_time(hours=2)
        settled(customer.id)
    end_month(seller)
    names = names_of(seller)
    old, new = str(names.before(customer.id)), str(names.of("customer", customer.id))
    older = (
        "UPDATE events SET data = replace(data::text, %s, %s)::json WHERE organization = %s"
        " AND type = 'earning.received' AND (data->>'amount')::bigint = %s"
    )
    with psycopg.connect(test_session.databases.superuser_url(test_session.name)) as connection:
        cur = connection.cursor()
        cur.execute("SET session_replication_role = replica")
        cur.execute(older, (new, old, seller.id, parse_amount("8")))
        assert cur.rowcount == 1
        made = make_statement(cur, organization=seller.id)
        connection.rollback()
    assert made is not None
    assert made.document["collections"] == [
        {"customer": new, "received": parse_amount("24"), "taken_back": 0}
    ]
    assert old not in str(made.document)


def test_who_shares_with_a_partner_is_named_to_the_platform_alone() -> None:
    owner, *others, _ = shared_by_three()
    shown = owner.api.get("/v1/revenue-shares").json()["data"][0]["splits"]
    full = platform().get("/v1/revenue-shares", organization=str(owner.id)).json()["data"][0]["splits"]
    assert [one["partner"] for one in full] == [str(one.id) for one in (owner, *others)]
    assert [one["weight"] for one in shown] == [one["weight"] for one in full] == [2, 1, 1]
    assert shown[0]["partner"] == str(owner.id)
    assert not {one["partner"] for one in shown[1:]} & {str(one.id) for one in others}


def amount_of(row: dict[str, str]) -> int:
    text = row["amount"]
    return -parse_amount(text[1:]) if text.startswith("-") else parse_amount(text, allow_zero=True)


def test_pdf_and_csv_are_the_same_bytes_each_time() -> None:
    seller = make_seller()
    customer = calling(seller)
    spend(customer, "10")
    settled(customer.id)
    customer.pass_time(days=8)
    settled(customer.id)
    end_month(seller)
    made = state(seller)
    assert made.document["payable"] == parse_amount("8")
    month = listed(seller)[0]["month"]

    pdf, again = (seller.api.get(f"/v1/partner/statements/{month}.pdf") for _ in range(2))
    table, table_again = (seller.api.get(f"/v1/partner/statements/{month}.csv") for _ in range(2))

    assert (pdf.status_code, pdf.content[:5], pdf.content) == (200, b"%PDF-", again.content)
    assert table.content == table_again.content
    rows = list(csv.DictReader(StringIO(table.content.decode())))
    parts = [row["part"] for row in rows]
    for first, last, value in (
        ("opening", "closing", made.closing), ("payable_opening", "payable", made.document["payable"])
    ):  # fmt: skip
        amounts = [amount_of(row) for row in rows[parts.index(first) : parts.index(last) + 1]]
        assert sum(amounts[:-1]) == amounts[-1] == value


def known(seller: Seller, contact: str = "Ada Lovelace") -> None:
    """What is known of a partner and of who owes it, from now on."""
    address = {"line1": "Weg 1", "postal_code": "1010", "city": "Wien", "country": "AT"}
    own = {
        "tax": {"country": "AT", "vat_id": "ATU13585627"},
        "contact": {"name": contact, "email": "ada@example.com", "address": address},
    }
    answer = caller(seller.id, "admin").patch("/v1/billing-profile", own)
    assert answer.status_code == 200, answer.content
    entity = make_entity(address={"line1": "Ring 2", "city": "Berlin"}, vat_ids={"DE": "DE136695976"})
    answer = platform().patch(f"/v1/billing-profile?organization={seller.id}", {"legal_entity": entity.key})
    assert answer.status_code == 200, answer.content


def printed_of(seller: Seller) -> tuple[dict[str, Any], bytes]:
    """The latest statement as its partner reads it, and its PDF."""
    shown = listed(seller)[0]
    pdf = seller.api.get(f"/v1/partner/statements/{shown['month']}.pdf")
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    return shown, pdf.content


def words_of(seller: Seller) -> str:
    """What the PDF of the latest statement says of its parties."""

    def read(cur: Cursor) -> dict[str, str]:
        found = statements_of(cur, seller.id, limit=1)[0]
        return inputs_of(found, addressee_of(cur, found.id))

    given = write(read)
    return str(typst.query(str(TEMPLATE), "<parties>", root=str(TEMPLATE.parent), sys_inputs=given))


class TestTheParties:
    def test_of_a_statement_are_named_with_addresses_and_tax_ids_and_stay(self) -> None:
        seller = make_seller()
        known(seller)
        end_month(seller)
        state(seller)

        shown, pdf = printed_of(seller)

        issuer = shown["issuer"]
        assert issuer["name"] and issuer["country"] and issuer["vat_ids"]
        assert shown["supplier"] == {"country": "AT", "vat_id": "ATU13585627"}
        said = words_of(seller)
        for word in (
            issuer["name"],
            *issuer["address"],
            *issuer["vat_ids"],
            "ATU13585627",
            "Ada Lovelace",
            "Weg 1",
        ):
            assert word in said, word
        known(seller, "Grace Hopper")  # and another legal entity
        answer = caller(seller.id, "admin").patch("/v1/billing-profile", {"tax": {"vat_id": None}})
        assert answer.status_code == 200, answer.content
        assert printed_of(seller) == (shown, pdf)

    def test_are_named_as_far_as_they_are_known(self) -> None:
        seller = make_seller()
        end_month(seller)
        state(seller)
        shown, _ = printed_of(seller)
        assert shown["issuer"]["name"]
        assert shown["supplier"] == {"country": None, "vat_id": None}

    def test_have_no_address_in_any_event(self) -> None:
        seller = make_seller()
        known(seller)
        end_month(seller)
        assert "Weg 1" not in str(state(seller).document)

    def test_of_a_statement_from_before_are_the_partner_alone(self) -> None:
        seller = make_seller()
        end_month(seller)
        state(seller)
        older = "UPDATE partner_statements SET document = document - 'issuer' - 'supplier' WHERE organization = %s"
        kept = "SELECT document::text FROM partner_statements WHERE organization = %s"
        back = "UPDATE partner_statements SET document = %s::jsonb WHERE organization = %s"
        document = write(lambda cur: cur.execute(kept, (seller.id,)).fetchone())
        write(lambda cur: cur.execute(older, (seller.id,)))
        shown, _ = printed_of(seller)
        write(lambda cur: cur.execute(back, (document[0], seller.id)))  # as the events have it
        assert "issuer" not in shown


def test_a_statement_of_another_partner_is_not_found() -> None:
    seller, other = make_seller(), make_seller()
    end_month(seller)
    state(seller)
    month = listed(seller)[0]["month"]
    assert other.api.get(f"/v1/partner/statements/{month}").status_code == 404
    assert other.api.get(f"/v1/partner/statements/{month}.pdf").status_code == 404
    assert seller.api.get("/v1/partner/statements/2027-13").status_code == 404
    assert listed(other) == []


def test_a_year_is_the_sum_of_its_statements() -> None:
    seller = make_seller()
    spend(calling(seller), "10")
    end_month(seller)
    made = state(seller)
    found = write(lambda cur: year_of(cur, seller.id, made.month.year))
    assert found is not None
    assert (found.statements, found.earned) == (1, parse_amount("8"))
    assert timedelta(0) < made.made_at - datetime(made.month.year, made.month.month, 1, tzinfo=UTC)
