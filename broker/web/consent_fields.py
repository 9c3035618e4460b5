"""The fields of one access as the template lays them out: values as typed, hints, and what is wrong with them."""

from dataclasses import dataclass

from broker.core.clock import DAY, SECOND, from_seconds, to_seconds
from broker.oauth.consent_terms import COUNT_FIELDS, CountField, Offer, count_of
from broker.prices.book import PriceBook
from broker.providers.registry import label
from broker.store.tables import Credential
from broker.web import consent_words
from broker.web.calls import rate_words
from broker.web.consent_form import Typed, ends_options, field_id
from broker.web.consent_summary import Reader
from broker.web.lent import called, key_name
from broker.web.terms import model_words
from broker.web.words import clock_time, count, day, money


@dataclass(frozen=True, slots=True)
class Text:
    id: str
    label: str
    value: str
    hint: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """A box or a radio button; the first of a group has the id that an error leads to."""

    id: str
    value: str
    label: str
    checked: bool
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Picks:
    name: str
    options: list[Pick]
    error: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A list to choose one end from."""

    id: str
    options: list[tuple[str, str]]
    value: str
    hint: str
    error: str


@dataclass(frozen=True, slots=True)
class Fields:
    """All that can be lowered of one access; `drop` is absent where there is nothing else to approve."""

    label: str
    keys: Picks
    also: Picks
    """Keys that calls go on with; nothing where there is one key alone."""
    also_hint: str
    budget: Text
    ends: Choice
    models: Picks
    actions: Picks
    counts: list[Text]
    drop: Pick | None


_ONE_ALONE = "Tick none to use that key alone."
_CHANGE = "You can change how on the page of the app."
_ALSO = {
    "priority": f"Used when the key above is limited, refused or out of credit. {_ONE_ALONE}",
    "round_robin": f"Used in turn with the key above. {_ONE_ALONE} {_CHANGE}",
    "least_used": f"Whichever was used least in the last minute is used. {_ONE_ALONE} {_CHANGE}",
    "affinity": f"Each conversation keeps its own. {_ONE_ALONE} {_CHANGE}",
}
"""By strategy."""


def fields_of(
    position: int,
    offer: Offer,
    typed: Typed,
    keys: list[Credential],
    problems: dict[str, str],
    prices: PriceBook,
    reader: Reader,
) -> Fields:
    def error(name: str) -> str:
        return problems.get(field_id(position, name), "")

    def picks(name: str, options: list[tuple[str, str, bool, str]]) -> Picks:
        first = field_id(position, name)
        made = [
            Pick(first if index == 0 else f"{first}-{index}", *option[:3], hint=option[3])
            for index, option in enumerate(options)
        ]
        return Picks(first, made, error(name))

    return Fields(
        label=label(offer.asked.provider),
        keys=picks("key", [_key(key, typed, reader) for key in keys]),
        also=picks("also", [_also(key, typed, reader) for key in keys] if len(keys) > 1 else []),
        also_hint=_ALSO[offer.strategy],
        budget=_budget(field_id(position, "budget"), offer, typed, error("budget"), reader),
        ends=_ends(field_id(position, "ends"), offer, typed, error("ends"), reader),
        models=picks("model", _models(offer, typed, prices, reader.now)),
        actions=picks("action", _actions(offer, typed)),
        counts=[_count(name, position, offer, typed, error(name), reader.app) for name in COUNT_FIELDS],
        drop=_drop(field_id(position, "drop"), offer, typed),
    )


def _key(key: Credential, typed: Typed, reader: Reader) -> tuple[str, str, bool, str]:
    hint = f"{called(key)} refuses it" if key.state == "refused" else ""
    return key.id, key_name(key, reader.instance), key.id == typed.key, hint


def _also(key: Credential, typed: Typed, reader: Reader) -> tuple[str, str, bool, str]:
    name, label, _, hint = _key(key, typed, reader)
    return name, label, key.id in typed.also and key.id != typed.key, hint


def _budget(name: str, offer: Offer, typed: Typed, error: str, reader: Reader) -> Text:
    asked, stops = offer.asked.budget, "Requests that could go over are refused."
    most = money(offer.spent + offer.wished_budget, "left")
    if offer.adds:
        hint = f"{reader.app} asked to add to what it has. You can enter up to {most}. {stops}"
    elif asked is None:
        hint = f"{reader.app} named no amount. You can enter up to {most}. {stops}"
    elif offer.spent:
        wish = f"{reader.app} asked for {money(asked.amount, 'limit')} from now on, and has spent {money(offer.spent)}."
        hint = f"{wish} You can enter up to {most}. {stops}"
    elif asked.amount > offer.policy.max_budget:
        hint = f"{reader.app} asked for {consent_words.per(asked)}. You can enter up to {most}. {stops}"
    else:
        hint = f"{reader.app} asked for {consent_words.per(asked)}. You can enter less, not more. {stops}"
    return Text(name, "Spending limit, in US dollars", typed.budget, hint, error)


def _ends(name: str, offer: Offer, typed: Typed, error: str, reader: Reader) -> Choice:
    ends = ends_options(offer, typed.ends, reader.now)
    present = None if offer.present is None else offer.present.element.expires_at
    start = to_seconds(reader.now)
    options = [(str(end), _end_words(end, start, present, ends[-1], offer, reader)) for end in ends]
    asked = offer.asked.expires_in
    hint = f"{reader.app} named no end." if asked is None else f"{reader.app} asked for {consent_words.lasting(asked)}."
    if offer.adds:
        hint = f"{reader.app} asked to add to what it has."
    return Choice(name, options, typed.ends, hint, error)


def _end_words(end: int, start: int, present: int | None, last: int, offer: Offer, reader: Reader) -> str:
    length, at = end - start, from_seconds(end)
    when = f"at {clock_time(at, reader.zone)}" if length < DAY // SECOND else f"on {day(at, reader.zone)}"
    if end == present:
        return f"as now, {when}"
    lengths = (3600, 86_400, 604_800, 2_592_000, offer.policy.default_seconds, offer.wished_seconds)
    shown = min((known for known in lengths if 0 <= known - length <= 3600), default=length)
    # The hint beside it says how long that is; both would not fit into the box.
    is_wish = end == last and offer.asked.expires_in == offer.wished_seconds
    return f"as asked, {when}" if is_wish else f"in {consent_words.lasting(shown)}, {when}"


def _models(offer: Offer, typed: Typed, prices: PriceBook, now: int) -> list[tuple[str, str, bool, str]]:
    name = label(offer.asked.provider)
    return [
        (pattern, model_words(pattern, name), pattern in typed.models, _price(pattern, offer, prices, now))
        for pattern in offer.model_options
    ]


def _price(pattern: str, offer: Offer, prices: PriceBook, now: int) -> str:
    if pattern.endswith("*"):
        return "Prices differ from model to model; calls to a model without a known price are refused"
    price = prices.find(offer.asked.provider, pattern, now, "any")
    return "No price known here, so calls to it are refused" if price is None else rate_words(price)


def _actions(offer: Offer, typed: Typed) -> list[tuple[str, str, bool, str]]:
    options = []
    for action in offer.asked.actions:
        name, _, hint = consent_words.CAPABILITIES[action].partition(" — ")
        options.append((action, name, action in typed.actions, f"{hint[:1].upper()}{hint[1:]}"))
    return options


def _count(name: CountField, position: int, offer: Offer, typed: Typed, error: str, app: str) -> Text:
    asked = count_of(offer.asked, name)
    used = 0 if offer.present is None else offer.present.requests_used
    if asked is None:
        hint = "No limit asked. Leave it empty for no limit."
    elif offer.adds:
        hint = f"{app} asked to add to what it has. You can enter up to {count(used + asked if name == 'requests' else asked)}."
    elif name == "requests" and used:
        hint = f"{app} asked for {count(asked)} from now on, and has made {count(used)}."
    else:
        hint = f"{app} asked for {count(asked)}."
    return Text(field_id(position, name), consent_words.LABELS[name], typed.counts.get(name, ""), hint, error)


def _drop(name: str, offer: Offer, typed: Typed) -> Pick | None:
    if not offer.optional:
        return None
    hint = "" if offer.present is None else "What it has now of this ends at once."
    return Pick(name, "1", "Do not allow this", typed.dropped, hint)
