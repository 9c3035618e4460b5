"""What a call may hold under an allowance, and in whose words it is refused: rules only, no I/O."""

from collections.abc import Iterable
from typing import NamedTuple

from broker.core.errors import CallRefused
from broker.core.grant import GrantState
from broker.core.money import MicroUSD
from broker.core.usage import Price
from broker.ledger.standing import Allowance, Standing

LEAST_OUTPUT = 16
"""Fewer output tokens than this are no answer: the call is refused for money instead."""


NO_PRICE = Price("", "", ())


class Demand(NamedTuple):
    """What a call needs, as its dialect bounded it; every figure is the most that it can be."""

    provider: str
    model: str
    action: str
    extra_actions: frozenset[str]
    input_bound: int
    own_output: int | None
    """The app's own output maximum for each choice, None if it set none."""
    model_output: int
    choices: int
    covers_reasoning: bool
    """Whether the maximum we send also bounds reasoning; where not, the model's whole output is held."""
    streamed: bool
    price: Price
    """Of a model without one: NO_PRICE, which no call is ever admitted at."""
    unbounded: str = ""
    """Why no bound can be given, in words for the caller; empty when there is one."""
    credential_id: str = ""
    """The one credential it can go with, since it names what is kept at the provider; empty where any will do."""
    wish: str = ""
    """An action that it would also use where that is granted, and does without where not."""
    conversation: int = 0
    """What calls of one conversation have in common, so that they may stay with one key; 0 where nothing tells."""
    is_fixed: bool = False
    """Whether nothing that is sent could make its output less than `model_output`."""


class Plan(NamedTuple):
    """The figures a call is admitted with."""

    allowance: Allowance
    hold: MicroUSD
    output_max: int
    """What is sent to the provider, for each choice."""
    output_bound: int
    """What is held, for all choices."""

    def tokens(self, demand: Demand) -> int:
        return demand.input_bound + self.output_bound


def check_state(standing: Standing | None) -> Standing:
    if standing is None:
        raise invalid_token()
    if standing.state is GrantState.PAUSED:
        raise CallRefused("grant_paused", "The owner of this access has paused it.")
    if standing.state is GrantState.FROZEN:
        raise CallRefused("grant_frozen", "This access is frozen: the provider billed more than was held for a call.")
    return standing


def invalid_token() -> CallRefused:
    return CallRefused("invalid_token", "The access token is not valid: it is malformed, expired, revoked or unknown.")


def not_granted() -> CallRefused:
    return CallRefused("provider_not_granted", "This access does not include this provider.")


def action_not_granted(missing: list[str]) -> CallRefused:
    words = ", ".join(missing)
    return CallRefused("action_not_granted", f"This access does not include what this request needs: {words}.")


def covering(standing: Standing, demand: Demand) -> list[Allowance]:
    """The allowances that cover the call, in order; raises the most telling refusal if there is none."""
    needed = {demand.action} | demand.extra_actions
    if len(standing.allowances) == 1 and _covers(standing.allowances[0], demand, needed):
        return list(standing.allowances)
    here = [a for a in standing.allowances if a.provider == demand.provider]
    if not here:
        raise not_granted()
    named = [a for a in here if _covers_model(a, demand)]
    if not named:
        raise CallRefused("model_not_granted", "This access does not include this model.")
    able = [a for a in named if needed <= a.actions]
    if not able:
        missing = sorted(needed - frozenset().union(*(a.actions for a in named)))
        raise action_not_granted(missing or sorted(needed))
    if demand.credential_id:
        able = [only for a in able if (only := a.only(demand.credential_id)) is not None]
        if not able:
            raise nothing_here()
    ready = [a for a in able if a.is_ready]
    if not ready:
        raise key_unavailable()
    if not demand.price.tiers:
        raise _no_price(demand)
    if demand.unbounded:
        raise CallRefused("not_boundable", demand.unbounded)
    return ready


def _no_price(demand: Demand) -> CallRefused:
    model = "".join(
        char if char.isascii() and char.isprintable() and char not in "'\\" else "?" for char in demand.model
    )
    command = f"broker price set {demand.provider} '{model[:100]}' --input USD --output USD"
    why = "There is no price for this model here, so its cost cannot be bounded."
    return CallRefused("no_price", f"{why} Whoever runs this server sets one, a million tokens: {command}")


def _covers(allowance: Allowance, demand: Demand, needed: frozenset[str] | set[str]) -> bool:
    """Whether there is nothing to say against it; what there is, `covering` says."""
    return (
        allowance.provider == demand.provider
        and needed <= allowance.actions
        and _covers_model(allowance, demand)
        and (not demand.credential_id or allowance.only(demand.credential_id) is allowance)
        and allowance.is_ready
        and not demand.unbounded
        and bool(demand.price.tiers)
    )


def _covers_model(allowance: Allowance, demand: Demand) -> bool:
    """What has no model to do with it is any access's."""
    return not demand.model or allowance.covers_model(demand.model)


def nothing_here() -> CallRefused:
    """Of what another grant made, of what nobody made, and of what is gone."""
    return CallRefused("not_found", "There is nothing with this id here.")


def key_unavailable() -> CallRefused:
    return CallRefused("provider_key_unavailable", "The provider key behind this access is missing or refused.")


def plan(allowance: Allowance, demand: Demand, money_left: MicroUSD | None) -> Plan | CallRefused:
    """The hold of a call; with `money_left`, an output that the app left open is cut to what that still affords."""
    output = demand.model_output
    if demand.own_output is not None and demand.own_output < output:
        output = demand.own_output
    if allowance.max_output_tokens is not None and allowance.max_output_tokens < output:
        output = allowance.max_output_tokens
    if demand.is_fixed and output < demand.model_output:
        return CallRefused("not_boundable", "This request could give more than the output that this access allows.")
    may_cut = demand.own_output is None and demand.covers_reasoning
    limit = allowance.tokens_per_minute
    if limit is not None and demand.input_bound + _held(output, demand) > limit:
        room = (limit - demand.input_bound) // demand.choices
        if not may_cut or room < LEAST_OUTPUT:
            return CallRefused("not_boundable", "This request alone could use more tokens than a minute allows.")
        output = room
    if money_left is not None and may_cut:
        affordable = demand.price.affordable_output(demand.input_bound, money_left) // demand.choices
        if affordable >= LEAST_OUTPUT:
            output = min(output, affordable)
    held = _held(output, demand)
    return Plan(allowance, demand.price.worst_case(demand.input_bound, held), output, held)


def _held(output: int, demand: Demand) -> int:
    return (output if demand.covers_reasoning else max(output, demand.model_output)) * demand.choices


_RANKS = {"rate_limited": 0, "too_many_concurrent": 0, "requests_exhausted": 1, "budget_exhausted": 1}
_LATEST = 2**31


def foremost(refusals: Iterable[CallRefused]) -> CallRefused:
    """Of several refusals the one to give: a 429 goes before a 402 before a 403.

    Among equals, the one that waiting ends first, then the one with the most money left.
    """

    def rank(refusal: CallRefused) -> tuple[int, int, int]:
        wait = _LATEST if refusal.retry_after is None else refusal.retry_after
        return _RANKS.get(refusal.code, 2), wait, -int(refusal.extra.get("remaining", 0))

    return min(refusals, key=rank)
