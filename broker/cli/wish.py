"""What a program asks for when it is connected: one element of authorization_details, from a few words."""

from dataclasses import dataclass
from typing import Any

from broker.cli.command import wrong
from broker.cli.tools import MODELS, Tool, dialect_of
from broker.core.access import TYPE
from broker.core.clock import DAY, SECOND
from broker.core.details import BadDetails, parse_details


@dataclass(frozen=True, slots=True)
class Said:
    """As typed; what was not said is empty."""

    provider: str
    models: str
    actions: str
    budget: str
    days: int


def wish_of(tool: Tool, said: Said, former: dict[str, Any]) -> dict[str, Any]:
    """What is not said is as it was asked for before; money and time nobody speaks of are the broker's to propose."""
    provider = said.provider or former.get("provider") or tool.provider or next(iter(tool.speaks))
    if provider != former.get("provider"):
        former = {}
    usual = tool.models or MODELS[dialect_of(tool, provider)]
    wish: dict[str, Any] = {
        "type": TYPE,
        "provider": provider,
        "models": _words(said.models) or former.get("models") or list(usual),
        "actions": _words(said.actions) or former.get("actions") or ["chat"],
    }
    if said.budget:
        wish["budget"] = {"amount": said.budget, "currency": "USD"}
    elif "budget" in former:
        wish["budget"] = former["budget"]
    if said.days:
        wish["expires_in"] = said.days * (DAY // SECOND)
    elif "expires_in" in former:
        wish["expires_in"] = former["expires_in"]
    try:
        parse_details([wish])
    except BadDetails as error:
        wrong(f"That cannot be asked for: {error}.")
    return wish


def _words(typed: str) -> list[str]:
    return typed.replace(",", " ").split()
