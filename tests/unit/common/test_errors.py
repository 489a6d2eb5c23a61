"""Problems: what a refusal looks like outside."""

import json

import pytest

from common.errors import (
    Forbidden,
    IdempotencyInFlight,
    InvalidAmount,
    InvalidCredentials,
    InvalidField,
    MethodNotAllowed,
    ProblemError,
    combined,
    default_title,
    known_errors,
    problem,
)


class TestAProblem:
    def test_it_has_the_members_of_the_contract(self) -> None:
        status, body, headers = problem(InvalidAmount(pointer="/amount"), "req-1")
        detail = (
            "An amount is a string of up to 11 integer digits and up to 8 decimals, without sign or exponent."
        )
        assert status == 400
        assert headers == {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
        assert json.loads(body) == {
            "type": "urn:counterfoil:problem:invalid_amount",
            "title": "Invalid amount",
            "status": 400,
            "detail": detail,
            "code": "invalid_amount",
            "request_id": "req-1",
            "retryable": False,
            "errors": [{"pointer": "/amount", "code": "invalid_amount", "detail": detail}],
        }

    def test_a_retryable_one_says_when(self) -> None:
        status, body, headers = problem(IdempotencyInFlight(retry_after=1), "r")
        members = json.loads(body)
        assert (status, members["retryable"], members["retry_after"], headers["Retry-After"]) == (
            409,
            True,
            1,
            "1",
        )

    def test_fields_of_the_code_stand_beside_and_never_replace_the_others(self) -> None:
        error = Forbidden(extra={"binding": {"scope": "agent"}, "status": 200, "code": "x"})
        members = json.loads(problem(error, "r")[1])
        assert (members["binding"], members["status"], members["code"]) == (
            {"scope": "agent"},
            403,
            "forbidden",
        )
        assert "errors" not in members
        assert "retry_after" not in members

    def test_headers_of_the_status_are_there(self) -> None:
        assert problem(InvalidCredentials(), "r")[2]["WWW-Authenticate"] == "Bearer"
        assert problem(MethodNotAllowed(headers={"Allow": "GET"}), "r")[2]["Allow"] == "GET"

    def test_an_own_detail_replaces_the_docstring(self) -> None:
        assert InvalidField("Too long.").detail == "Too long."
        assert str(InvalidField()) == "The field's value has the wrong type, length or value."

    def test_it_can_be_written_whatever_a_caller_sent(self) -> None:
        body = problem(InvalidField("\u2028 \x00 ä"), "r")[1]
        assert json.loads(body)["detail"] == "\u2028 \x00 ä"


class TestTheRegistry:
    @pytest.mark.parametrize("error", known_errors().values(), ids=known_errors().keys())
    def test_every_class_has_a_code_a_status_a_title_and_a_message(self, error: type[ProblemError]) -> None:
        assert error.code.replace("_", "").isalpha()
        assert 400 <= error.status <= 599
        assert default_title(error)
        assert (error.__doc__ or "").strip().split("\n")[0].endswith(".")

    def test_only_conflicts_too_fast_and_no_answer_are_retryable(self) -> None:
        assert {error.status for error in known_errors().values() if error.retryable} <= {409, 429, 502, 503}


def test_several_errors_become_one_with_all_places() -> None:
    error = combined([InvalidAmount(pointer="/a"), InvalidField(pointer="/b")])
    assert error.code == "invalid_amount"
    assert [(item.pointer, item.code) for item in error.errors] == [
        ("/a", "invalid_amount"),
        ("/b", "invalid_field"),
    ]
