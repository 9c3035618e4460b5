"""A token that lives for a while yet: the one that is kept, or the next one, of which all that wait get the same."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from broker.cli import profile
from broker.cli.profile import Profile
from broker.core.errors import BrokerError

if TYPE_CHECKING:
    from broker.cli.device_flow import Tokens
    from broker.cli.issuer import Issuer

Now = Callable[[], int]

YOUNG = 60
"""Seconds for which a new token is believed without a question."""


class Ended(BrokerError):
    """Nothing more comes of this connection."""


def system_now() -> int:
    return int(time.time())


def renewed(kept: Profile, now: Now = system_now) -> Profile:
    """Raises Ended, and Unreachable, Refused or Strange where there is no token, but perhaps one later."""
    if kept.lasts(now()) and now() < kept.taken_at + YOUNG:
        return kept
    from broker.cli.issuer import Issuer

    with Issuer.at(kept.issuer) as issuer:
        is_refused = kept.lasts(now()) and _is_refused(issuer, kept)
        if kept.lasts(now()) and not is_refused:
            return kept
        with profile.locked(kept.name), undisturbed():
            present = profile.load(kept.name)
            if present.access_token != kept.access_token and present.lasts(now()):
                return present
            return _refreshed(issuer, present, now, is_refused=is_refused)


def taken(tokens: "Tokens", former: Profile, now: int) -> Profile:
    """The connection with these tokens in it."""
    return replace(
        former,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token if tokens.refresh_token.reveal() else former.refresh_token,
        taken_at=now,
        ends_at=now + tokens.expires_in,
    )


@contextmanager
def undisturbed() -> Iterator[None]:
    """Between the server's answer and the disk nobody may end us: the refresh token before is worth nothing any more."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_refused(issuer: "Issuer", kept: Profile) -> bool:
    """Its grant may have ended since, or the key that signed it; who cannot be asked refuses nothing."""
    from broker.cli.issuer import Unreachable

    try:
        return issuer.status(kept.access_token.reveal()) == 401
    except Unreachable:
        return False


def _refreshed(issuer: "Issuer", present: Profile, now: Now, *, is_refused: bool) -> Profile:
    from broker.cli.device_flow import refresh
    from broker.cli.issuer import Refused, Unreachable

    try:
        tokens = refresh(issuer, present.token_endpoint, present.client_id, present.refresh_token)
    except Refused as refused:
        if refused.error not in ("invalid_grant", "invalid_client"):
            raise
        again = f"broker connect {present.client} --name {present.name}"
        raise Ended(f"The connection {present.name!r} has ended. Connect again: {again}") from None
    except Unreachable:
        if is_refused or now() >= present.ends_at:
            raise
        return present
    kept = taken(tokens, present, now())
    profile.keep(kept)
    return kept
