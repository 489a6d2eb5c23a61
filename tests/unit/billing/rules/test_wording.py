"""Every language says the same things, of the same values."""

import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.template.loader import render_to_string

from billing.operations.letters import template_of
from billing.queries.pdf import TEMPLATE
from billing.rules.wording import ENGLISH, LANGUAGES, WORDS, document_language

FOREIGN = [name for name in LANGUAGES if name != ENGLISH]
DAY = datetime(2026, 3, 1, tzinfo=UTC)
STAGES = ("past_due", "grace", "suspended", "canceled", "recovered", "reminder")
PAIR = {"number": "INV-1", "amount": "1.00", "currency": "EUR", "due_at": DAY, "due": 1}
DUNNING = {"customer": "A & B", "per_minute": 6, "invoices": [PAIR], "next_at": DAY}
RULE = {"currency": "EUR", "failures": 3, "stopped_reason": "expired_card"}
PARTIES = {"seller": "S & T", "customer": "A & B", "total": "2.00"}
LETTERS: list[tuple[str, dict[str, Any]]] = [
    *(("dunning", {**DUNNING, "notice": stage}) for stage in STAGES),
    *(
        ("auto_top_up_stopped", {"customer": "A & B", "amount": "5.00", "rule": RULE, "cause": cause})
        for cause in (None, "refunded", "disputed", "fraud_warning")
    ),
    *(
        ("invoice", {**PARTIES, "invoice": {**PAIR, "due": due}, "due": "1.00", "due_at": DAY})
        for due in (0, 1)
    ),
    *(
        ("credit_note", {**PARTIES, "note": PAIR, "invoice": PAIR, "credit": credit})
        for credit in ("", "1.00")
    ),
]


def said(name: str, values: dict[str, Any], language: str) -> str:
    return render_to_string(template_of(name, language=language), values)


def values_in(text: str) -> Counter[str]:
    """What a letter has of its values."""
    return Counter(re.findall(r"INV-1|A & B|S & T|2026-03-01|\d\.00 EUR|\b6\b|\b3\b|expired_card", text))


@pytest.mark.parametrize("language", FOREIGN)
def test_the_words_are_those_of_english_of_the_same_values_in(language: str) -> None:
    def named(words: Any) -> dict[str, list[str]]:
        return {name: sorted(re.findall(r"{(\w+)}", text)) for name, text in words.items()}

    assert named(WORDS[language]) == named(WORDS[ENGLISH])


def test_the_template_prints_words_that_there_are() -> None:
    used = set(re.findall(r"words\.(\w+)", TEMPLATE.read_text(encoding="utf-8")))
    assert used <= WORDS[ENGLISH].keys()
    assert len(used) > 25


@pytest.mark.parametrize("language", FOREIGN)
@pytest.mark.parametrize(
    ("name", "values"), LETTERS, ids=[f"{name} {place}" for place, (name, _) in enumerate(LETTERS)]
)
def test_a_letter_says_the_same_in(name: str, values: dict[str, Any], language: str) -> None:
    english, other = said(name, values, ENGLISH), said(name, values, language)
    assert values_in(other) == values_in(english)
    assert english.partition("\n\n")[0] != other.partition("\n\n")[0]
    paragraphs = [len(text.split("\n\n")) for text in (english, other)]
    assert paragraphs[0] == paragraphs[1]


@pytest.mark.parametrize(
    ("language", "found"),
    [("de", "de"), ("de-AT", "de"), ("fr-CA", "fr"), ("es", "es"), ("pt-BR", "en"), ("", "en"), (None, "en")],
    ids=["its own", "of another country", "of yet another", "a third", "none of ours", "nothing", "unknown"],
)
def test_a_language_is_written_in_its_own_or_in_english(language: str | None, found: str) -> None:
    assert document_language(language) == found
