"""Jinja2's one door: everything is escaped, and what is not there is an error."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from broker.assets import TEMPLATES
from broker.core.counted import counted
from broker.core.money import MicroUSD, to_decimal
from broker.web import foreign, words


@cache
def environment() -> Environment:
    # One for the process: what differs between installations is in the context, so that nothing is compiled twice.
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "money": words.money,
        "decimal": lambda amount: to_decimal(MicroUSD(amount)),
        "instant": _in_zone(words.instant),
        "day": _in_zone(words.day),
        "clock": _in_zone(words.clock_time),
        "machine_time": words.machine_time,
        "count": words.count,
        "counted": counted,
        "listed": words.listed,
        "possessive": words.possessive,
        "q": foreign.quoted,
        "clean": foreign.clean,
    }
    return made


def _in_zone(say: Callable[..., str]) -> Callable[..., str]:
    """A filter that says an instant in the zone of the page it stands on."""

    @pass_context
    def filtered(context: Context, at: int, **how: bool) -> str:
        return say(at, str(context["zone"]), **how)

    return filtered
