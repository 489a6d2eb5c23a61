"""The upcoming invoice of a customer whose use takes long to sum: an answer that says so, and nothing that moved."""

import pytest

from billing.operations.invoices import previewing
from tests.builders.billing import billed
from tests.builders.gate import body_of

PATH = "/v1/invoices/upcoming"


class TestAPreview:
    def test_that_takes_too_long_says_so_and_when_to_come_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = billed()
        for _ in range(60):
            made.use("0.01")
        body_of(made.reader.get(PATH), 200)
        monkeypatch.setattr(previewing, "SUM_SECONDS", 0.001)
        with made.still():
            answer = made.reader.get(PATH)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["retryable"]) == (503, "preview_timeout", True)
        assert (problem["retry_after"], answer.headers["Retry-After"]) == (60, "60")
        monkeypatch.undo()
        assert body_of(made.reader.get(PATH), 200)["total"] == "0.60"
        made.assert_sound()
