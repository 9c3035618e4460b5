"""What the consent page warns of before anything else."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.core.grant import GrantState
from broker.oauth.consent import Answer
from broker.oauth.consent_case import Case
from broker.oauth.consent_terms import Offer
from broker.oauth.redirect_uri import is_https
from broker.providers.registry import Registry
from broker.store import grants
from broker.store.tables import Credential
from broker.web.consent_summary import Reader
from broker.web.consent_words import lasting
from broker.web.foreign import clean
from broker.web.lent import app_address, called, has_key
from broker.web.words import day, money

_NO_ADDRESS = "no web address"


@dataclass(frozen=True, slots=True)
class Notice:
    """`replace` is the address of a page that puts it right, where there is one."""

    kind: str
    title: str
    text: str
    replace: str = ""


def notices_of(case: Case, shown: Answer, registry: Registry, reader: Reader, contact: str) -> list[Notice]:
    found = [] if case.client.verified else [_unverified(case, reader)]
    if case.beside is not None:
        text = f"{reader.app} has access from you already, and keeps it. What you approve now comes on top."
        found.append(Notice("info", "", text))
    if case.grant is not None and case.grant.state == GrantState.PAUSED.value:
        who = f": ask {contact}" if case.grant.paused_by == grants.OPERATOR else ""
        found.append(Notice("warn", "", f"{reader.app} is paused. Approving does not resume it{who}."))
    if case.grant is not None and case.grant.state == GrantState.FROZEN.value:
        found.append(Notice("warn", "", f"{reader.app} was stopped. Approving does not let it go on: ask {contact}."))
    for offer, terms in zip(case.offers, shown.terms, strict=True):
        found += _capped(offer, reader, contact)
        key = case.keys.get(terms.credential_id)
        if key is not None and not has_key(key, registry):
            found.append(_unusable(key, reader, others=len(offer.keys) > 1))
    return list(dict.fromkeys(found))


def address_of(case: Case) -> str:
    """What a person can check: what the operator or its document vouches for, else where the answer really goes."""
    if case.client.verified and (case.client.address or case.device is not None):
        return app_address(case.client) or _NO_ADDRESS
    if case.device is not None:
        return _NO_ADDRESS  # no answer goes to an address that it registered, so it could have named anybody's
    if case.client.source == "document":
        return app_address(case.client)
    url = urlsplit(case.request.redirect_uri)
    return clean(url.netloc or url.scheme)


def _unverified(case: Case, reader: Reader) -> Notice:
    first = f"Nobody at {reader.instance} has checked who runs it. Its name could copy another app."
    check = "your device shows the code below" if case.device else "the web address below is the one you expect"
    said = f"{first} Check that {check}."
    if case.client.source == "document" and case.device is None and not is_https(case.request.redirect_uri):
        said += " Any program on your computer could name itself by that address."
    return Notice("warn", "This app is not verified", said)


def _capped(offer: Offer, reader: Reader, contact: str) -> list[Notice]:
    found = []
    asked, policy = offer.asked, offer.policy
    if asked.budget is not None and asked.budget.amount > policy.max_budget:
        most = money(offer.spent + policy.max_budget, "left")
        text = f"You can approve up to {most}: the most that may be given here is set by {contact}."
        found.append(Notice("info", "", f"{reader.app} asked for {money(asked.budget.amount, 'limit')}. {text}"))
    if asked.expires_in is not None and asked.expires_in > policy.max_seconds:
        text = f"You can approve up to {lasting(policy.max_seconds)}: the longest that may be given here is set by {contact}."
        found.append(Notice("info", "", f"{reader.app} asked for {lasting(asked.expires_in)}. {text}"))
    return found


def _unusable(key: Credential, reader: Reader, *, others: bool) -> Notice:
    provider = called(key)
    if key.state != "refused":
        text = (
            f"The key {key.name} is missing on this server. Access can be approved, but nothing works until it is back."
        )
        return Notice("warn", "", text)
    since = f" since {day(key.checked_at, reader.zone)}" if key.checked_at is not None else ""
    text = f"{provider} refuses this key{since} (401)."
    if key.user_id is None:
        return Notice("warn", "", f"{text} Access can be approved, but nothing works until it is replaced.")
    return Notice("warn", "", f"{text}{' Choose another, or' if others else ''}", f"/keys/{key.id}/replace")
