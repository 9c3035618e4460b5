"""Reading the members of a JSON body that came from an app: the type each must have, or a refusal that names it."""

import re
from collections.abc import Iterable

from broker.core.strict_json import dumps
from broker.providers.dialect import Body, Reading, refuse_request

_NOT_SHOWN = re.compile(r"[^A-Za-z0-9_.-]")


def text_of(body: Body, name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise refuse_request(f"{name} must be a string.")
    return value


def objects_of(body: Body, name: str) -> list[Body]:
    """Empty where there are none."""
    values = body.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        raise refuse_request(f"{name} must be an array of objects.")
    objects = [value for value in values if isinstance(value, dict)]
    if len(objects) != len(values):
        raise refuse_request(f"{name} must be an array of objects.")
    return objects


def flag_of(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise refuse_request(f"{name} must be true or false.")
    return bool(value)


def count_of(body: Body, name: str, most: int, *, least: int = 1) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise refuse_request(f"{name} must be an integer from {least} to {most}.")
    return value


def rendered(body: Body) -> bytes:
    try:
        return dumps(body)
    except UnicodeEncodeError as error:
        raise refuse_request("The body has text that is not Unicode.") from error


def shown(name: str) -> str:
    """A name of the app's as it may stand in our sentence."""
    return _NOT_SHOWN.sub("?", name[:40])


def not_bounded(names: Iterable[str]) -> str:
    """Why a request is refused that has these; empty where there are none."""
    listed = ", ".join(sorted(names))
    return f"The cost of this cannot be bounded here: {listed}." if listed else ""


def counting(body: Body, model: str, path: str, *, extra_actions: frozenset[str], unbounded: str) -> Reading:
    """A request that asks how many tokens it has: it runs no model, costs nothing, and goes as it came."""
    sent = rendered(body)
    return Reading(
        model=model,
        action="chat",
        extra_actions=extra_actions,
        streamed=False,
        wants_usage=True,
        own_output=1,
        choices=1,
        covers_reasoning=True,
        input_bound=1,
        unbounded=unbounded,
        render=lambda _: sent,
        target=path,
        is_free=True,
    )
