"""A person in front of the consent page, who gives what they are told to give, and the wish that led them there."""

import json
from dataclasses import dataclass
from typing import Any

from tests.browser import Browser
from tests.html import Form
from tests.rights.model import Cap, Lent
from tests.rights.place import MODELS

CALLS_IT = ("Approve", "Approve the change", "Reconnect")


@dataclass(frozen=True)
class Given:
    """What the person chose of one access; `ends` in seconds since 1970."""

    models: frozenset[str]
    budget: int
    ends: int


def wish(provider: str, models: set[str], budget: int) -> dict[str, Any]:
    return {
        "type": "ai_model_access",
        "provider": provider,
        "models": sorted(models),
        "actions": ["chat"],
        "budget": {"amount": dollars(budget), "currency": "USD"},
        "expires_in": 86_400,
    }


def dollars(amount: int) -> str:
    return f"{amount / 1_000_000:.2f}"


async def approve(browser: Browser, budgets: list[int], wanted: set[str], *, forges: bool) -> list[Given]:
    """Of each access the wanted models as far as they are offered (else all), and this budget, until the last end.

    With `forges`, a form that names a model which was not offered is sent first, and is refused.
    """
    (form,) = [form for form in browser.page.forms if any(each.label in CALLS_IT for each in form.buttons)]
    (button,) = [each.label for each in form.buttons if each.label in CALLS_IT]
    given, typed = [], dict[str, str | list[str]]()
    for position, budget in enumerate(budgets):
        offered = _offered(form, position)
        given.append(Given(frozenset(offered & wanted or offered), budget, _last_end(form, position)))
        typed[f"access-{position}-model"] = sorted(given[-1].models)
        typed[f"access-{position}-budget"] = dollars(budget)
        typed[f"access-{position}-ends"] = str(given[-1].ends)
        if any(each.name == f"access-{position}-drop" for each in form.fields):
            typed[f"access-{position}-drop"] = []
    strange = set(MODELS) - _offered(form, 0)
    if forges and strange:
        await browser.post(browser.path, [*form.filled(button, typed), ("access-0-model", min(strange))])
        assert browser.status == 422, "a model that was not asked for"
    await browser.post(form.action, form.filled(button, typed))
    return given


def _offered(form: Form, position: int) -> set[str]:
    return {each.value for each in form.fields if each.name == f"access-{position}-model"}


def _last_end(form: Form, position: int) -> int:
    (ends,) = [each for each in form.fields if each.name == f"access-{position}-ends"]
    return int(ends.options[-1])


def narrowed_to(lent: dict[str, Lent], narrowed: Any) -> tuple[dict[str, str], dict[str, Cap] | None]:
    """What of it is within what is lent, as a parameter and as the model's caps."""
    within = {name: (lent[name].models & terms[0], min(lent[name].budget, terms[1]))
              for name, terms in (narrowed or {}).items() if name in lent and lent[name].models & terms[0]}  # fmt: skip
    if not within:
        return {}, None
    details = [
        {
            "type": "ai_model_access",
            "provider": name,
            "models": sorted(few),
            "budget": {"amount": dollars(most), "currency": "USD"},
        }
        for name, (few, most) in within.items()
    ]
    caps = {name: Cap(lent[name], few, most) for name, (few, most) in within.items()}
    return {"authorization_details": json.dumps(details)}, caps
