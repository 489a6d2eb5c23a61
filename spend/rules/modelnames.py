"""Which model of the price book a caller's spelling means: its own name, or the rule of its source.

Rules are data: equals, starts_with, ends_with, contains and regex with a text, "or" and "and" with a list of
rules; all but regex without regard to case. They are tried in the source's order when a cache is filled, not on
every call. A spelling that no rule knows is an unknown model: there is no nearest match.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

NAME_LENGTH = 200
COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

# Names of providers in OpenTelemetry's gen_ai.provider.name that differ from the book's.
PROVIDER_ALIASES = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "vertex_ai": "google",
    "x_ai": "x-ai",
    "xai": "x-ai",
}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model of the book with the rule of its other names."""

    model: str
    match: Mapping[str, Any] | None
    context_window: int | None = None
    max_output_tokens: int | None = None


def provider_name(provider: str) -> str:
    """Return the book's name of a provider: lower case, OpenTelemetry's names translated."""
    name = provider.strip().lower()
    return PROVIDER_ALIASES.get(name, name)


def find_model(models: Sequence[ListedModel], asked: str) -> ListedModel | None:
    """Return the model that is meant: by its own name first, else by the first rule that fits; None if none
    does.

    A compact date (-20251211) that fits nowhere is tried once more with hyphens, as some gateways strip them.
    """
    if len(asked) > NAME_LENGTH:
        return None
    name = asked.lower()
    return _find(models, name) or _find(models, _with_hyphens(name))


def matches(rule: Mapping[str, Any], name: str) -> bool:
    """Return whether a name, given in lower case, satisfies a rule. Raises ValueError for a rule it cannot
    read.
    """
    if len(rule) != 1:
        raise ValueError(f"a rule has one key: {rule!r}")
    ((kind, value),) = rule.items()
    if kind in ("or", "and"):
        results = (matches(inner, name) for inner in value)
        return any(results) if kind == "or" else all(results)
    if kind == "regex":
        return re.search(value, name) is not None
    return _literal(kind, str(value).lower(), name)


def _literal(kind: str, value: str, name: str) -> bool:
    if kind == "equals":
        return name == value
    if kind == "starts_with":
        return name.startswith(value)
    if kind == "ends_with":
        return name.endswith(value)
    if kind == "contains":
        return value in name
    raise ValueError(f"no such rule: {kind}")


def _find(models: Sequence[ListedModel], name: str) -> ListedModel | None:
    for listed in models:
        if listed.model.lower() == name:
            return listed
    for listed in models:
        if listed.match is not None and matches(listed.match, name):
            return listed
    return None


def _with_hyphens(name: str) -> str:
    def dashed(found: re.Match[str]) -> str:
        year, month, day = (int(found[group]) for group in (2, 3, 4))
        try:
            date(year, month, day)
        except ValueError:
            return found[0]
        return f"-{year:04d}-{month:02d}-{day:02d}"

    return COMPACT_DATE.sub(dashed, name)
