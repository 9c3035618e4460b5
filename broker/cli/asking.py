"""A person is asked for a grant, by a code that this terminal shows and they enter on a device of their own."""

import platform
from dataclasses import dataclass
from typing import Any

from broker.cli import profile
from broker.cli.device_flow import DEVICE_CODE, Codes, Pace, Tokens, ask, refresh, wait_for_answer
from broker.cli.issuer import Issuer, Members, Refused, Strange, Unreachable
from broker.cli.profile import Profile
from broker.cli.renewal import Now, system_now, undisturbed
from broker.cli.telling import note, show_codes, tell_granted
from broker.core.errors import BrokerError
from broker.core.secret import Secret

MAX_NAME = 80


class Unknown(BrokerError):
    """The broker does not know this program, and takes nobody by their own word."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`client_id` is empty where the program is to find one itself; `former` is what the new connection replaces."""

    name: str
    client: str
    title: str
    address: str
    wish: dict[str, Any]
    client_id: str
    former: Profile | None

    @property
    def asked(self) -> dict[str, Any]:
        return self.wish | {"purpose": f"To answer you in {self.title}."}

    @property
    def who(self) -> str:
        return f"{self.title} on {platform.node() or 'this computer'}"[:MAX_NAME]


def connected(wanted: Wanted, pace: Pace, now: Now = system_now) -> Profile:
    """The connection, kept; raises BrokerError."""
    with Issuer.at(wanted.address) as issuer:
        metadata = issuer.discover()
        if "device_authorization_endpoint" not in metadata or "token_endpoint" not in metadata:
            raise Strange(f"{wanted.address} gives no codes for devices (BROKER_DEVICE_GRANT).")
        client_id, codes = _codes(issuer, metadata, wanted)
        show_codes(codes)
        endpoint = str(metadata["token_endpoint"])
        tokens = wait_for_answer(issuer, endpoint, client_id, codes, pace)
        made = profile_of(wanted, client_id, endpoint, tokens, now())
        with profile.locked(wanted.name), undisturbed():
            profile.keep(made)
        tell_granted(tokens.details)
        if wanted.former is not None and wanted.former.issuer == wanted.address:
            _give_back(issuer, wanted.former, now())
    return made


def _codes(issuer: Issuer, metadata: Members, wanted: Wanted) -> tuple[str, Codes]:
    """With the id it is known by, where the broker still knows it, or else with a new one."""
    endpoint, former = str(metadata["device_authorization_endpoint"]), wanted.former
    known = wanted.client_id or (former.client_id if former and former.issuer == wanted.address else "")
    if known:
        try:
            return known, ask(issuer, endpoint, known, wanted.asked, wanted.who)
        except Refused as refused:
            if wanted.client_id or refused.error not in ("invalid_client", "unauthorized_client"):
                raise
    client_id = _registered(issuer, metadata, wanted)
    return client_id, ask(issuer, endpoint, client_id, wanted.asked, wanted.who)


def _registered(issuer: Issuer, metadata: Members, wanted: Wanted) -> str:
    if "registration_endpoint" not in metadata:
        raise Unknown(
            f"{issuer.address} takes only apps that it knows. Its operator makes one known by "
            f'broker client add "{wanted.title}" --public; then connect with --client-id and the id that it prints.'
        )
    about = {
        "client_name": wanted.who,
        "token_endpoint_auth_method": "none",
        "grant_types": [DEVICE_CODE, "refresh_token"],
        "response_types": [],
    }
    client_id = issuer.register(str(metadata["registration_endpoint"]), about).get("client_id")
    if not isinstance(client_id, str) or not client_id:
        raise Strange(f"{issuer.address} registered the app and gave it no client_id.")
    return client_id


def profile_of(wanted: Wanted, client_id: str, endpoint: str, tokens: Tokens, now: int) -> Profile:
    return Profile(
        name=wanted.name,
        client=wanted.client,
        issuer=wanted.address,
        client_id=client_id,
        grant_id=tokens.grant_id,
        token_endpoint=endpoint,
        refresh_token=tokens.refresh_token,
        access_token=tokens.access_token,
        taken_at=now,
        ends_at=now + tokens.expires_in,
        wish=wanted.wish,
    )


def _give_back(issuer: Issuer, former: Profile, now: int) -> None:
    """The grant of the connection that was replaced; nobody should find two where they use one."""
    try:
        token = former.access_token if former.lasts(now) else _last_token(issuer, former)
        has_ended = issuer.give_back(former.grant_id, token.reveal())
    except Refused:
        return
    except (Unreachable, Strange):
        has_ended = False
    if not has_ended:
        note(f"The grant of the former connection could not be given back: {issuer.address}/grants/{former.grant_id}")


def _last_token(issuer: Issuer, former: Profile) -> Secret:
    return refresh(issuer, former.token_endpoint, former.client_id, former.refresh_token).access_token
