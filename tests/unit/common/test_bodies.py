"""The reader of a request's body."""

from typing import Any

import pytest

from common import fields
from common.bodies import SERVER_SET, BodyReader
from common.errors import InvalidPeriod, ProblemError
from common.strictjson import NumberText


def refusal(reader: BodyReader) -> tuple[str, list[tuple[str, str]]]:
    with pytest.raises(ProblemError) as refused:
        reader.check()
    return refused.value.code, [(error.pointer, error.code) for error in refused.value.errors]


def reader_of(body: dict[str, Any]) -> BodyReader:
    return BodyReader(body, allowed={"name", "limit", "tokens", "subject", "items"}, later={"fail_mode"})


class TestNames:
    def test_an_unknown_field_is_refused_b55(self) -> None:
        assert refusal(reader_of({"nme": 1})) == ("unknown_field", [("/nme", "unknown_field")])

    @pytest.mark.parametrize("name", ["id", "org", "balance", "status", "created_at", "approved_by"])
    def test_a_field_that_the_server_sets_is_refused_b56(self, name: str) -> None:
        assert refusal(reader_of({name: "x"})) == ("read_only_field", [(f"/{name}", "read_only_field")])

    def test_a_server_set_name_may_be_allowed_by_an_operation(self) -> None:
        reader = BodyReader({"organization": "x"}, allowed={"organization"})
        reader.check()
        assert "organization" in SERVER_SET

    def test_an_operation_can_name_further_ones(self) -> None:
        reader = BodyReader({"held": "1"}, allowed={"name"}, read_only={"held"})
        assert refusal(reader) == ("read_only_field", [("/held", "read_only_field")])

    def test_what_is_not_there_yet_names_its_field(self) -> None:
        assert refusal(reader_of({"fail_mode": "open_capped"})) == (
            "not_available_yet",
            [("/fail_mode", "not_available_yet")],
        )
        reader_of({"fail_mode": None}).check()


class TestValues:
    def test_a_required_field_must_be_there(self) -> None:
        reader = reader_of({})
        reader.required("name", fields.text)
        assert refusal(reader) == ("invalid_field", [("/name", "invalid_field")])

    def test_null_is_absent_in_an_optional_field(self) -> None:
        reader = reader_of({"name": None})
        assert reader.optional("name", fields.text) is None
        assert reader.optional("name", fields.text, default="x") == "x"
        assert reader.defaulted("name", fields.text, "y") == "y"
        assert "name" in reader
        reader.check()

    def test_null_is_wrong_where_an_amount_or_a_quantity_is_meant_b23(self) -> None:
        reader = reader_of({"limit": None, "tokens": None})
        reader.optional("limit", fields.amount)
        reader.defaulted("tokens", fields.quantity, 0)
        assert refusal(reader) == (
            "invalid_amount",
            [("/limit", "invalid_amount"), ("/tokens", "invalid_quantity")],
        )

    def test_null_is_wrong_in_a_required_field(self) -> None:
        reader = reader_of({"name": None})
        reader.required("name", fields.text)
        assert refusal(reader) == ("invalid_field", [("/name", "invalid_field")])

    def test_options_reach_the_check(self) -> None:
        reader = reader_of({"limit": "0", "name": "abc"})
        assert reader.required("limit", fields.amount, allow_zero=True) == 0
        reader.required("name", fields.text, max_length=2)
        assert refusal(reader) == ("invalid_field", [("/name", "invalid_field")])

    def test_every_wrong_field_is_listed_and_the_first_decides(self) -> None:
        reader = reader_of({"zz": 1, "limit": NumberText("0.1"), "tokens": NumberText("1e3")})
        reader.required("limit", fields.amount)
        reader.required("tokens", fields.quantity)
        assert reader.failed
        assert refusal(reader) == (
            "unknown_field",
            [("/zz", "unknown_field"), ("/limit", "invalid_amount"), ("/tokens", "invalid_quantity")],
        )

    def test_a_caller_can_add_what_it_found(self) -> None:
        reader = reader_of({})
        reader.refuse(InvalidPeriod(pointer="/end"))
        assert refusal(reader) == ("invalid_period", [("/end", "invalid_period")])

    def test_leaving_the_block_checks(self) -> None:
        with pytest.raises(ProblemError), reader_of({"zz": 1}):
            pass

    def test_an_exception_in_the_block_is_not_hidden(self) -> None:
        with pytest.raises(ZeroDivisionError), reader_of({"zz": 1}):
            raise ZeroDivisionError


class TestNesting:
    def test_a_nested_field_has_its_pointer(self) -> None:
        reader = reader_of({"subject": {"agent": 5, "x/y": 1}})
        subject = reader.required_object("subject", allowed={"agent"})
        subject.required("agent", fields.key)
        assert refusal(reader) == (
            "unknown_field",
            [("/subject/x~1y", "unknown_field"), ("/subject/agent", "invalid_field")],
        )

    @pytest.mark.parametrize("value", ["x", [], 1, True])
    def test_what_is_no_object_is_refused(self, value: object) -> None:
        reader = reader_of({"subject": value})
        assert reader.object("subject", allowed={"agent"}) is None
        assert refusal(reader) == ("invalid_field", [("/subject", "invalid_field")])

    def test_an_absent_object_is_none_or_refused(self) -> None:
        reader = reader_of({"subject": None})
        assert reader.object("subject", allowed={"agent"}) is None
        reader.check()
        reader.required_object("items", allowed={"agent"})
        assert refusal(reader) == ("invalid_field", [("/items", "invalid_field")])

    def test_a_required_object_that_is_none_gives_a_reader_all_the_same(self) -> None:
        reader = reader_of({"subject": None})
        reader.required_object("subject", allowed={"agent"}).optional("agent", fields.key)
        assert refusal(reader) == ("invalid_field", [("/subject", "invalid_field")])

    def test_the_objects_of_a_list_are_read_one_by_one(self) -> None:
        reader = reader_of({"items": [{"n": 1}, 5, {"n": -1}]})
        read = [item.required("n", fields.quantity) for item in reader.objects("items", allowed={"n"})]
        assert read[0] == 1
        assert refusal(reader) == (
            "invalid_field",
            [("/items/1", "invalid_field"), ("/items/2/n", "invalid_quantity")],
        )

    def test_a_list_has_its_length(self) -> None:
        reader = reader_of({"items": [{}, {}]})
        assert list(reader.objects("items", allowed=(), max_items=1)) == []
        assert refusal(reader) == ("invalid_field", [("/items", "invalid_field")])
        assert list(reader_of({}).objects("items", allowed=())) == []
