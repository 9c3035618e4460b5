"""Which client is calling, and whether it shows what its registration says that it will."""

from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import unquote_plus

from broker.core.errors import OAuthError
from broker.core.forms import Form
from broker.core.handle import digest, same
from broker.core.secret import Secret
from broker.oauth import assertion
from broker.oauth.assertion import Assertions, BadAssertion, read_assertion
from broker.oauth.fapi import profile_of
from broker.oauth.find_client import FindClient
from broker.oauth.jws import Unverified
from broker.store.tables import Client

METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")

_NOBODY = digest("nobody's secret")
"""Compared with when there is no such client, so that the answer takes as long."""


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says about its client, not yet believed."""

    client_id: str
    method: str
    proof: Secret | Unverified | None
    basic: bool = False
    """Whether it came in the Authorization header."""


def read_client(authorization: list[str], form: Form) -> Presented:
    """Raises OAuthError: one method a request, and one client id whichever way it is said."""
    client_id, secret, signed = form.one("client_id"), form.one("client_secret"), form.one("client_assertion")
    if [bool(authorization), secret is not None, signed is not None].count(True) > 1:
        # RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
        raise OAuthError("invalid_request", "The client must authenticate in one way only.")
    if signed is not None:
        return _signed(client_id, form.one("client_assertion_type"), signed)
    if not authorization:
        if client_id is None:
            raise _refused("no client at all")
        if secret is None:
            return Presented(client_id, "none", None)
        return Presented(client_id, "client_secret_post", Secret(secret))
    if len(authorization) > 1:
        raise _refused("several Authorization headers", basic=True)
    named, given = _basic(authorization[0])
    if client_id is not None and client_id != named:
        raise _refused("another client_id in the body", basic=True)
    if not given:
        return Presented(named, "none", None, basic=True)
    return Presented(named, "client_secret_basic", Secret(given), basic=True)


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    find: FindClient
    assertions: Assertions

    async def __call__(self, presented: Presented, *, path: str, asked_from: str) -> Client:
        """Raises OAuthError invalid_client, the same for each reason. An assertion may be for the endpoint at this path."""
        # RFC 6749 Appendix A.1: visible ASCII; a name that JSON or Basic brought may have a NUL, which no store takes.
        may_be = presented.client_id.isascii() and presented.client_id.isprintable()
        client = await self.find(presented.client_id, asked_from=asked_from) if may_be else None
        if isinstance(presented.proof, Unverified):
            await self._check_assertion(client, presented.proof, path)
        elif not _shows_secret(client, presented):
            raise _refused("unknown client, or its secret is not right", basic=presented.basic)
        if client is None or not _may(client, presented.method):
            raise _refused("another method than the registered one", basic=presented.basic)
        return client

    async def _check_assertion(self, client: Client | None, signed: Unverified, path: str) -> None:
        if client is None:
            raise _refused("an assertion of an unknown client")
        try:
            await self.assertions.check(signed, client, path)
        except BadAssertion as error:
            raise _refused(f"assertion: {error}") from error


def _shows_secret(client: Client | None, presented: Presented) -> bool:
    given = presented.proof.reveal() if isinstance(presented.proof, Secret) else ""
    expected = client.secret_digest if client is not None and client.secret_digest else _NOBODY
    is_right = same(digest(given), expected)
    return is_right if client is None or not client.public else presented.proof is None


def _may(client: Client, method: str) -> bool:
    """Whether this method is the registered one; a client of the operator's may show its secret in either way."""
    registered = client.auth_method
    fits = method == registered or (registered == "client_secret" and method.startswith("client_secret_"))
    return fits and registered in profile_of(client).methods


def _signed(client_id: str | None, kind: str | None, text: str) -> Presented:
    if kind != assertion.TYPE:
        raise OAuthError("invalid_request", "The client_assertion_type is missing or not supported.")
    try:
        signed = read_assertion(text)
    except BadAssertion as error:
        raise _refused(f"assertion: {error}") from error
    named = signed.claims.get("sub")
    # RFC 7521 §4.2: client_id is optional, and "MUST identify the same client" where it is there.
    if not isinstance(named, str) or client_id not in (None, named):
        raise _refused("another client_id than the assertion's")
    return Presented(named, "private_key_jwt", signed)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        name, colon, password = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        if not colon:
            raise ValueError(header)
        # RFC 6749 §2.3.1: both are form-encoded before they are put together.
        return unquote_plus(name, errors="strict"), unquote_plus(password, errors="strict")
    except ValueError:
        raise _refused("an Authorization header that is not Basic", basic=True) from None


def _refused(detail: str, *, basic: bool = False) -> OAuthError:
    return OAuthError("invalid_client", "Client authentication failed.", status=401, basic=basic, detail=detail)
