"""Comparing a price source with the book: new models are taken, changed prices wait for a person."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from events.store import Cursor, Event, append
from spend.operations.prices.genai_source import PriceSource, SourceModel, SourceVersion
from spend.operations.prices.records import Author, JsonObject, author, utc_text
from spend.rules.pricedata import components_data, digest, json_value, variants_data

EVENTS_AT_ONCE = 1_000

PROVIDERS = "SELECT name, id, fallback, version FROM price_providers"
MODELS = "SELECT provider, lower(model), to_jsonb(m)::text FROM price_models m"
CHANGES = """
SELECT provider, lower(model), source_digest, id, version, to_jsonb(c)::text FROM price_changes c
WHERE status IN ('proposed', 'rejected')
"""
CURRENT = """
SELECT components::text, variants::text, valid_from, valid_to, daily_from, daily_to, currency
FROM price_versions WHERE kind = 'book' AND provider = %s AND model = %s ORDER BY valid_from, published_at, id
"""

Name = tuple[str, str]


@dataclass(slots=True)
class ImportReport:
    """What an import found and did; lists hold "provider/model"."""

    source: str
    source_version: str
    new_models: list[str] = field(default_factory=list)
    new_versions: int = 0
    proposed: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    unchanged: int = 0


@dataclass(slots=True)
class _Book:
    """What the book has: models, what was proposed or rejected before, and providers."""

    models: dict[Name, JsonObject]
    rejected: set[tuple[str, str, str]]
    open: dict[Name, JsonObject]
    providers: dict[str, JsonObject]


def import_prices(
    cur: Cursor,
    *,
    actor: str,
    source: PriceSource,
    only: Collection[str] | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """This function will bring a price source into the book and report what it found.

    New models are taken at once with their dated history. A model whose prices differ from what was taken
    before is proposed as a price change and waits for `approve_price_change`; one that was rejected is not
    proposed again. Repeating an import changes nothing. `only` restricts it to "provider/model" names;
    `dry_run` writes nothing. One transaction, under the platform's lock. Upholds S22.
    """
    by = author(cur, organization=None, actor=actor)
    report = ImportReport(source.name, source.version)
    events = list(_compared(cur, by, source, only, report))
    if not dry_run:
        for start in range(0, len(events), EVENTS_AT_ONCE):
            append(cur, events[start : start + EVENTS_AT_ONCE])
    return report


def versions_data(versions: Sequence[SourceVersion]) -> list[JsonObject]:
    """Return the source's versions as JSON: what a proposal shows and what a digest is taken of."""
    return [
        {
            "components": components_data(version.components),
            "variants": variants_data(version.variants),
            "daily_from": version.daily[0] if version.daily else None,
            "daily_to": version.daily[1] if version.daily else None,
            "valid_from": utc_text(version.valid_from),
            "valid_to": utc_text(version.valid_to),
        }
        for version in versions
    ]


def price_data(
    by: Author, model: Mapping[str, Any], version: Mapping[str, Any], *, approved_by: str | None
) -> JsonObject:
    """Return the data of a book price's event from a model's row and one of the source's versions."""
    return {
        "kind": "book",
        "provider": model["provider"],
        "model": model["model"],
        "currency": "USD",
        **version,
        "source": model["source"],
        "source_version": model["source_version"],
        "approved_by": approved_by,
        "published_at": utc_text(by.now),
    }


def _compared(
    cur: Cursor, by: Author, source: PriceSource, only: Collection[str] | None, report: ImportReport
) -> Iterator[Event]:
    book = _read_book(cur)
    wanted = [m for m in source.models if only is None or f"{m.provider}/{m.model}" in only]
    yield from _providers(by, source, book, {model.provider for model in wanted})
    seen = set()
    for model in wanted:
        seen.add((model.provider, model.model.lower()))
        if model.left_out:
            report.left_out[f"{model.provider}/{model.model}"] = list(model.left_out)
        yield from _model(cur, by, source, model, book, report)
    if only is None:
        report.gone = sorted(
            f"{row['provider']}/{row['model']}"
            for name, row in book.models.items()
            if name not in seen and row["source"] == source.name
        )


def _model(
    cur: Cursor, by: Author, source: PriceSource, model: SourceModel, book: _Book, report: ImportReport
) -> Iterator[Event]:
    label, name = f"{model.provider}/{model.model}", (model.provider, model.model.lower())
    versions = versions_data(model.versions)
    definition = _definition(source, model, digest(versions))
    known = book.models.get(name)
    if not versions:
        report.unpriced.append(label)
    if known is None:
        report.new_models.append(label)
        report.new_versions += len(versions)
        yield by.event("price_model", "listed", definition)
        for version in versions:
            yield by.event("price", "published", price_data(by, definition, version, approved_by=None))
        return
    taken = known["source"] != source.name or known["source_digest"] == definition["source_digest"]
    if taken or (*name, definition["source_digest"]) in book.rejected:
        report.unchanged += 1
    else:
        yield from _proposal(cur, by, definition, versions, book.open.get(name), report)
    yield from _renaming(by, definition, known, report)


def _proposal(
    cur: Cursor,
    by: Author,
    definition: JsonObject,
    versions: list[JsonObject],
    waiting: JsonObject | None,
    report: ImportReport,
) -> Iterator[Event]:
    label = f"{definition['provider']}/{definition['model']}"
    if waiting is not None and waiting["source_digest"] == definition["source_digest"]:
        report.waiting.append(label)
        return
    if waiting is not None:
        row = {**waiting, "status": "superseded", "decided_at": utc_text(by.now), "decided_by": by.actor}
        del row["id"]
        version = row.pop("version") + 1
        yield by.event("price_change", "superseded", row, stream_id=waiting["id"], version=version)
    report.proposed.append(label)
    data = {
        **{
            key: definition[key] for key in ("provider", "model", "source", "source_version", "source_digest")
        },
        "status": "proposed",
        "current": _current(cur, definition),
        "proposal": versions,
        "proposed_at": utc_text(by.now),
        "decided_at": None,
        "decided_by": None,
        "reason": None,
    }
    yield by.event("price_change", "proposed", data)


def _current(cur: Cursor, definition: JsonObject) -> list[JsonObject]:
    cur.execute(CURRENT, (definition["provider"], definition["model"]))
    names = ("components", "variants", "valid_from", "valid_to", "daily_from", "daily_to", "currency")
    rows = [dict(zip(names, row, strict=True)) for row in cur.fetchall()]
    return [
        {
            **row,
            "components": json_value(row["components"]),
            "variants": json_value(row["variants"]),
            "valid_from": utc_text(row["valid_from"]),
            "valid_to": utc_text(row["valid_to"]),
        }
        for row in rows
    ]


def _renaming(by: Author, definition: JsonObject, known: JsonObject, report: ImportReport) -> Iterator[Event]:
    """What a model is called and how much it can take is no price; it is taken at once."""
    compared = ("position", "match", "context_window", "deprecated")
    if known["source"] != definition["source"] or all(known[key] == definition[key] for key in compared):
        return
    report.renamed.append(f"{definition['provider']}/{definition['model']}")
    data = {**definition, "model": known["model"], "source_digest": known["source_digest"]}
    yield by.event("price_model", "changed", data, stream_id=UUID(known["id"]), version=known["version"] + 1)


def _definition(source: PriceSource, model: SourceModel, source_digest: str) -> JsonObject:
    return {
        "provider": model.provider,
        "model": model.model,
        "position": model.position,
        "match": model.match,
        "context_window": model.context_window,
        "max_output_tokens": None,
        "deprecated": model.deprecated,
        "source": source.name,
        "source_version": source.version,
        "source_digest": source_digest,
    }


def _providers(by: Author, source: PriceSource, book: _Book, wanted: Collection[str]) -> Iterator[Event]:
    for name in sorted(wanted):
        fallback = list(source.providers[name])
        known = book.providers.get(name)
        data = {"name": name, "fallback": fallback}
        if known is None:
            yield by.event("price_provider", "listed", data)
        elif known["fallback"] != fallback:
            version = known["version"] + 1
            yield by.event("price_provider", "changed", data, stream_id=known["id"], version=version)


def _read_book(cur: Cursor) -> _Book:
    providers = cur.execute(PROVIDERS).fetchall()
    models = cur.execute(MODELS).fetchall()
    rejected: set[tuple[str, str, str]] = set()
    waiting: dict[Name, JsonObject] = {}
    for provider, model, source_digest, change_id, version, text in cur.execute(CHANGES).fetchall():
        row = json_value(text)
        if row["status"] == "rejected":
            rejected.add((provider, model, source_digest))
        else:
            waiting[provider, model] = {**_utc(row), "id": change_id, "version": version}
    return _Book(
        models={(provider, model): json_value(row) for provider, model, row in models},
        rejected=rejected,
        open=waiting,
        providers={
            name: {"id": provider_id, "fallback": fallback, "version": version}
            for name, provider_id, fallback, version in providers
        },
    )


def _utc(row: JsonObject) -> JsonObject:
    """A row of price_changes as its events hold it."""
    return {**row, "proposed_at": utc_text(datetime.fromisoformat(row["proposed_at"]))}
