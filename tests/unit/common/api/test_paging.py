"""Lists: limits, cursors, and query parameters that nobody knows."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.paging import make_cursor, open_cursor
from common.errors import InvalidCursor
from tests.unit.common.api.conftest import ApiClient
from tests.unit.common.api.example import ONE, OTHER, ROWS

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class TestPages:
    def test_a_page_has_twenty_rows_unless_told_otherwise(self, api: ApiClient) -> None:
        answer = api.call("GET", "/v1/things").json()
        assert [row["number"] for row in answer["data"]] == ROWS[:20]
        assert isinstance(answer["next_cursor"], str)

    @pytest.mark.parametrize("limit", [1, 7, 44, 45, 100])
    def test_the_pages_together_are_the_list(self, api: ApiClient, limit: int) -> None:
        seen, cursor = [], ""
        while cursor is not None:
            answer = api.call(
                "GET", f"/v1/things?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            ).json()
            assert len(answer["data"]) <= limit
            seen += [row["number"] for row in answer["data"]]
            cursor = answer["next_cursor"]
        assert seen == ROWS

    @pytest.mark.parametrize(
        "limit", ["0", "-1", "1000000000", "101", "", "1.0", "+5", "１", "5 ", "01", "x"]
    )
    def test_a_limit_outside_is_refused_b126(self, api: ApiClient, limit: str) -> None:
        assert api.refused("GET", f"/v1/things?limit={limit}") == (400, "invalid_parameter")

    @pytest.mark.parametrize(
        "query", ["page=2", "limt=5", "format=json", "state=open&sort=x", "%00=1", "Limit=5"]
    )
    def test_an_unknown_parameter_is_refused(self, api: ApiClient, query: str) -> None:
        assert api.refused("GET", f"/v1/things?{query}") == (400, "unknown_parameter")

    def test_a_parameter_occurs_once(self, api: ApiClient) -> None:
        assert api.refused("GET", "/v1/things?limit=5&limit=6") == (400, "invalid_parameter")

    def test_a_parameter_has_one_of_its_values(self, api: ApiClient) -> None:
        assert api.call("GET", "/v1/things?state=open").status_code == 200
        assert api.refused("GET", "/v1/things?state=shut") == (400, "invalid_parameter")

    def test_a_write_takes_none(self, api: ApiClient) -> None:
        assert api.refused("POST", "/v1/things?limit=5", {"name": "x"}) == (400, "unknown_parameter")


class TestCursors:
    def test_another_organizations_is_refused_b126(self, api: ApiClient) -> None:
        cursor = api.call("GET", "/v1/things").json()["next_cursor"]
        path = f"/v1/things?cursor={cursor}"
        assert api.call("GET", path).status_code == 200
        assert api.refused("GET", path, caller="Bearer other") == (400, "invalid_cursor")

    @pytest.mark.parametrize("cursor", ["", "x", "ä", "A" * 2_000, "=", "%00", "MQ==", "../../x"])
    def test_one_that_was_never_given_out_is_refused(self, api: ApiClient, cursor: str) -> None:
        assert api.refused("GET", f"/v1/things?cursor={cursor}") == (400, "invalid_cursor")

    def test_it_opens_only_on_its_own_path(self) -> None:
        cursor = make_cursor((7, "a"), organization=ONE, path="/v1/things")
        assert open_cursor(cursor, organization=ONE, path="/v1/things") == (7, "a")
        for organization, path in ((OTHER, "/v1/things"), (ONE, "/v1/other")):
            with pytest.raises(InvalidCursor):
                open_cursor(cursor, organization=organization, path=path)

    @given(st.data())
    def test_one_changed_character_is_refused_b126(self, data: st.DataObject) -> None:
        cursor = make_cursor((7, "a"), organization=UUID(int=1), path="/v1/things")
        place = data.draw(st.integers(0, len(cursor) - 1))
        letter = data.draw(st.sampled_from(LETTERS).filter(lambda other: other != cursor[place]))
        with pytest.raises(InvalidCursor):
            open_cursor(
                cursor[:place] + letter + cursor[place + 1 :], organization=UUID(int=1), path="/v1/things"
            )
