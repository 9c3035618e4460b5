"""The device's side of RFC 8628, and of the refreshes that follow."""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.cli.issuer import Issuer, Members, Refused, Strange, Unreachable
from broker.core.errors import BrokerError
from broker.core.secret import Secret

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER = 5
"""Seconds that each slow_down adds (RFC 8628 §3.5)."""
LONGEST = 60
_USER_CODE = re.compile(r"[A-Z0-9-]{4,32}", re.ASCII)


class NotGiven(BrokerError):
    """The person said no, or nothing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that only go forward, and how to let them pass."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True, slots=True)
class Codes:
    device_code: Secret
    user_code: str
    page: str
    page_with_code: str
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """`access_token` lives for `expires_in` seconds; a server that rotates no refresh token leaves it empty."""

    access_token: Secret
    expires_in: int
    refresh_token: Secret
    grant_id: str
    details: Sequence[Members]


def ask(issuer: Issuer, endpoint: str, client_id: str, wish: Members, device_name: str) -> Codes:
    """Asks for a grant of its own; raises Unreachable, Refused and Strange."""
    form = {
        "client_id": client_id,
        "authorization_details": json.dumps([wish]),
        "grant_management_action": "create",
        "device_name": device_name,
    }
    told = issuer.post(endpoint, form)
    page, user_code = _text(issuer, told, "verification_uri"), _text(issuer, told, "user_code")
    with_code = _text(issuer, told, "verification_uri_complete", otherwise=page)
    if not issuer.is_own(page) or not issuer.is_own(with_code) or _USER_CODE.fullmatch(user_code) is None:
        raise Strange(f"{issuer.address} gave a code, or a page for it, that is none of its own.")
    return Codes(
        device_code=Secret(_text(issuer, told, "device_code")),
        user_code=user_code,
        page=page,
        page_with_code=with_code,
        expires_in=_seconds(issuer, told, "expires_in"),
        interval=_seconds(issuer, told, "interval", otherwise=SLOWER),
    )


def wait_for_answer(issuer: Issuer, endpoint: str, client_id: str, codes: Codes, pace: Pace) -> Tokens:
    """Asks as often as it may until the person has answered; raises NotGiven, Refused and Strange."""
    form = {"grant_type": DEVICE_CODE, "client_id": client_id, "device_code": codes.device_code.reveal()}
    until, interval = pace.clock() + codes.expires_in, codes.interval
    while pace.clock() + interval < until:
        pace.sleep(interval)
        try:
            return read_tokens(issuer, issuer.post(endpoint, form))
        except Unreachable:
            interval = min(LONGEST, interval * 2)
        except Refused as refused:
            if refused.error == "access_denied":
                raise NotGiven("The request was denied.") from None
            if refused.error == "expired_token":
                break
            if refused.error not in ("authorization_pending", "slow_down"):
                raise
            interval += SLOWER if refused.error == "slow_down" else 0
    raise NotGiven("Nobody answered in time. Start again.")


def refresh(issuer: Issuer, endpoint: str, client_id: str, refresh_token: Secret) -> Tokens:
    """Raises Unreachable, Refused and Strange."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token.reveal()}
    return read_tokens(issuer, issuer.post(endpoint, form))


def read_tokens(issuer: Issuer, told: Members) -> Tokens:
    if _text(issuer, told, "token_type").lower() != "bearer":
        raise Strange(f"{issuer.address} gave a token of a kind that is not known here.")
    details = told.get("authorization_details")
    return Tokens(
        access_token=Secret(_text(issuer, told, "access_token")),
        expires_in=_seconds(issuer, told, "expires_in"),
        refresh_token=Secret(_text(issuer, told, "refresh_token", otherwise="")),
        grant_id=_text(issuer, told, "grant_id", otherwise=""),
        details=[each for each in details if isinstance(each, dict)] if isinstance(details, list) else [],
    )


def _text(issuer: Issuer, told: Members, name: str, *, otherwise: str | None = None) -> str:
    """It may go to a terminal, or into a header; raises Strange."""
    value = told.get(name, otherwise)
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()) or (not value and otherwise is None):
        raise Strange(f"{issuer.address} gave no {name} that can be understood.")
    return value


def _seconds(issuer: Issuer, told: Members, name: str, *, otherwise: int | None = None) -> int:
    value = told.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Strange(f"{issuer.address} gave no {name} that can be understood.")
    return value
