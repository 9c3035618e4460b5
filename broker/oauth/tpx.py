"""TPX: the authorization_details type `llm-inference`, read as accesses and answered in its own words.

It has a budget in dollars, as a JSON number, and exact model ids; what it means is chat with one provider's models.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Never

from broker.core.access import TPX_TYPE, Access, Budget
from broker.core.details import BadDetails
from broker.core.money import MAX_MONEY, MICRO, MicroUSD
from broker.core.pairing import paired
from broker.core.strict_json import JSONValue

PROVIDER = "openai"
"""Whose models are meant where none is named: the API of TPX is that of OpenAI."""

MAX_MODELS = 64
MAX_MODEL = 200
_ACTION = "chat"


def read(elements: list[JSONValue], sellers: Callable[[str], tuple[str, ...]]) -> tuple[Access, ...]:
    """What is asked for at the authorization endpoint; raises BadDetails."""
    accesses: list[Access] = []
    looked_up = 0
    for element in elements:
        budget, models = _members(element)
        if budget is None:
            _bad("budget is required")
        # Each is looked up at every provider, in the lists that the proxy's calls are priced by.
        looked_up += len(models)
        if looked_up > MAX_MODELS:
            _bad(f"models has more than {MAX_MODELS} in all objects together")
        provider, ids = _resolve(models, sellers) if models else (PROVIDER, ("*",))
        accesses.append(Access(provider, ids, (_ACTION,), budget))
    return tuple(accesses)


def read_narrowing(elements: list[JSONValue], granted: Sequence[Access]) -> tuple[Access, ...]:
    """What is asked for at the token endpoint: each object takes a granted access of its own; raises BadDetails."""
    chats = [access for access in granted if _ACTION in access.actions]
    asked = [_members(element) for element in elements]
    positions = paired([_fitting(budget, models, chats) for budget, models in asked])
    if positions is None:
        _bad("models is more than was granted")
    accesses = []
    for (budget, models), position in zip(asked, positions, strict=True):
        outer = chats[position]
        ids = tuple(_named(model, outer) or model for model in models)
        accesses.append(Access(outer.provider, ids, (_ACTION,), budget))
    return tuple(accesses)


def in_its_words(details: Sequence[Access]) -> list[dict[str, object]]:
    """The granted objects that this type can express: those that allow chat, on a sum of money that does not renew."""
    return [_words(access, access.budget) for access in details if access.budget is not None and _sayable(access)]


def introspected(told: dict[str, object], usage: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """With what was used in one number; and it says of nobody who they are, not even by a pseudonym."""
    used = sum(access["budget"]["settled"] for access in usage if _ACTION in access["actions"])
    return {name: value for name, value in told.items() if name != "sub"} | {"budget_used": to_dollars(used)}


def to_dollars(amount: int) -> float:
    """A number that reads back as the same micro-dollars."""
    return amount / MICRO


def _words(access: Access, budget: Budget) -> dict[str, object]:
    words: dict[str, object] = {"type": TPX_TYPE, "budget": to_dollars(budget.amount)}
    return words if "*" in access.models else words | {"models": list(access.models)}


def _sayable(access: Access) -> bool:
    return _ACTION in access.actions and access.budget is not None and access.budget.per == "grant"


def _members(element: JSONValue) -> tuple[Budget | None, tuple[str, ...]]:
    if not isinstance(element, dict) or not element.keys() <= {"type", "budget", "models"}:
        _bad("an object of this type may have budget and models, and nothing else")
    models: JSONValue = element.get("models")
    if "models" not in element:
        ids: tuple[str, ...] = ()
    elif not isinstance(models, list) or not 1 <= len(models) <= MAX_MODELS:
        _bad(f"models must be an array of 1 to {MAX_MODELS} strings")
    else:
        ids = tuple(model for model in models if isinstance(model, str) and _is_id(model))
        if len(set(ids)) != len(models):
            _bad("models has a value that is not valid or stands twice")
    return (_budget(element["budget"]) if "budget" in element else None), ids


def _budget(value: JSONValue) -> Budget:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _bad("budget must be a number of dollars")
    # The shortest text of a float is what its sender wrote, up to zeros at the end.
    micro = Decimal(repr(value)) * MICRO
    if micro != micro.to_integral_value() or not 0 < micro <= MAX_MONEY:
        _bad("budget must be above 0 and have at most 6 places")
    return Budget(MicroUSD(int(micro)))


def _resolve(models: tuple[str, ...], sellers: Callable[[str], tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    """The one provider of all of them, and their ids there; an id may be written provider/id."""
    offers = [_offers(model, sellers) for model in models]
    common = set.intersection(*(set(offer) for offer in offers))
    if not common:
        _bad("models must be models that one provider has a price for here")
    if len(common) > 1:
        _bad("models are sold by several providers here: write each as provider/model")
    (provider,) = common
    ids = tuple(offer[provider] for offer in offers)
    if len(set(ids)) != len(ids):
        _bad("models has a value that is not valid or stands twice")
    return provider, ids


def _offers(model: str, sellers: Callable[[str], tuple[str, ...]]) -> dict[str, str]:
    """Provider → the id of the model there."""
    offers = dict.fromkeys(sellers(model), model)
    prefix, slash, rest = model.partition("/")
    if slash and rest and prefix in sellers(rest):
        return {prefix: rest}
    return offers


def _fitting(budget: Budget | None, models: tuple[str, ...], chats: Sequence[Access]) -> list[int]:
    """Which have all of these models, and as much money if any has; else it is the money that is found to be too much."""
    named = [place for place, access in enumerate(chats) if all(_named(model, access) for model in models)]
    return [place for place in named if budget is None or _affords(chats[place], budget)] or named


def _affords(access: Access, budget: Budget) -> bool:
    has = access.budget
    return has is None or (has.per == budget.per and budget.amount <= has.amount)


def _named(model: str, access: Access) -> str | None:
    """The id of this model in a granted access, if that covers it."""
    for name in (model, model.removeprefix(f"{access.provider}/")):
        if access.covers_model(name):
            return name
    return None


def _is_id(model: str) -> bool:
    return 0 < len(model) <= MAX_MODEL and all("!" <= character <= "~" and character != "*" for character in model)


def _bad(reason: str) -> Never:
    raise BadDetails(reason)
