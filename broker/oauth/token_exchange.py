"""An app gives its own agent a narrower token out of its own (RFC 8693): the agent's calls count in both, and end with it."""

import json
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import record
from broker.core.access import TYPE
from broker.core.clock import from_seconds, to_seconds
from broker.core.details import parse_details
from broker.core.errors import InvalidToken, OAuthError
from broker.core.forms import Form
from broker.ledger.worth import meet, worth_of
from broker.oauth.form_post import Asked
from broker.oauth.issue import LiveAccess, grant_end, issue_access_token, live_accesses
from broker.oauth.narrowing import narrowed
from broker.oauth.proofs import proof_of
from broker.oauth.request import check_scope_and_resource
from broker.oauth.signing import Signer
from broker.oauth.token_answer import TokenAnswer
from broker.settings import Settings
from broker.store import grants, tokens
from broker.store.grant_tables import AccessToken, Grant

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
MAX_NAME = 80


def _invalid(description: str, detail: str = "") -> OAuthError:
    """RFC 8693 §2.2.2: what is wrong with a subject token "MUST be the invalid_request error code"."""
    return OAuthError("invalid_request", description, detail=detail)


def _bad_subject(detail: str) -> OAuthError:
    return _invalid("The subject_token is not a live access token of this client.", detail)


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """No refresh token is given: the app can ask again, for as long as its own token lives."""

    signer: Signer
    settings: Settings

    async def __call__(self, tx: AsyncSession, asked: Asked, now: int) -> TokenAnswer:
        """Raises OAuthError."""
        given, name = _read(asked.form, self.settings)
        subject, line, grant = await self._require_subject(tx, given, asked.client.id, now)
        await self._check_room(tx, line, now)
        family = None if subject.family_id is None else await tokens.load_family(tx, subject.family_id)
        live = _as_left_by(line, await live_accesses(tx, grant, now))
        narrowing = narrowed(asked.form, asked.client, live, now, TYPE if family is None else family.details_type)
        issued = await issue_access_token(
            tx,
            self.signer,
            self.settings,
            grant,
            now=now,
            family_id=subject.family_id,
            # It has counters of its own in any case: its person sees what each has spent.
            caps=narrowing.caps or {access.id: access.granted for access in live},
            lifetime=min(self.settings.access_token_seconds, to_seconds(min(each.ends_at for each in line) - now)),
            jkt=await _key(tx, asked, subject, now),
            parent_jti=subject.jti,
            name=name,
        )
        await record(tx, now, "token.exchanged", grant.client_id, grant.id, jti=issued.jti, parent=subject.jti)
        left = grant_end(live) - now
        return TokenAnswer(issued, grant.id, left, details_type=narrowing.details_type, issued_token_type=ACCESS_TOKEN)

    async def _require_subject(
        self, tx: AsyncSession, given: str, client_id: str, now: int
    ) -> tuple[AccessToken, list[AccessToken], Grant]:
        """With all its parents, itself first; it stands still until this transaction is over."""
        try:
            jti = self.signer.verify_access_token(given, now).jti
        except InvalidToken as error:
            raise _bad_subject("not a token of ours, or over") from error
        subject = await tokens.hold_access(tx, jti)
        if subject is None or subject.client_id != client_id:
            raise _bad_subject("unknown, or another client's")
        grant = await grants.load(tx, subject.grant_id)
        if grant is None or await worth_of(tx, subject, now) is None:
            raise _bad_subject("it is worth nothing any more")
        return subject, await tokens.line_of(tx, subject), grant

    async def _check_room(self, tx: AsyncSession, line: list[AccessToken], now: int) -> None:
        if len(line) > self.settings.exchange_depth:
            raise _invalid("This token is too far from the first: no token may be made out of it.")
        if await tokens.live_children(tx, line[0].jti, now) >= self.settings.exchange_tokens:
            raise _invalid("This token has as many live tokens made out of it as it may.")


def _read(form: Form, settings: Settings) -> tuple[str, str]:
    """The subject token, and what its agent is to be called."""
    check_scope_and_resource(form, settings)
    given = form.one("subject_token")
    if given is None:
        raise _invalid("subject_token is missing.")
    if form.one("subject_token_type") != ACCESS_TOKEN:
        raise _invalid(f"The subject_token_type must be {ACCESS_TOKEN}.")
    if form.one("requested_token_type") not in (None, ACCESS_TOKEN):
        raise _invalid(f"The requested_token_type can only be {ACCESS_TOKEN}.")
    if form.one("actor_token") is not None or form.one("actor_token_type") is not None:
        raise _invalid("There is no delegation to another actor here: leave out actor_token and its type.")
    if form.one("audience") not in (None, settings.resource):
        raise OAuthError("invalid_target", "The audience can only be the one resource of this server.")
    name = form.text("agent_name")
    if len(name) > MAX_NAME:
        raise _invalid(f"The agent_name has more than {MAX_NAME} characters.")
    return given, name


def _as_left_by(line: list[AccessToken], live: list[LiveAccess]) -> list[LiveAccess]:
    """The accesses as the subject token has them: narrowed by itself and by all its parents."""
    for token in reversed(line):
        if token.caps is None:
            continue
        named = json.loads(token.caps)
        pairs = [(access, parse_details([named[access.id]], "token")[0]) for access in live if access.id in named]
        elements = [(access, meet(access.granted, cap)) for access, cap in pairs]
        live = [
            LiveAccess(access.id, access.created_at, from_seconds(element.expires_at or 0), element)
            for access, element in elements
            if element.models and element.actions
        ]
    return live


async def _key(tx: AsyncSession, asked: Asked, subject: AccessToken, now: int) -> str:
    """A token that is bound to a key makes only tokens that are: to the key that is proven, else to its own.

    A public client has nothing else to show that the subject token is its own, so it proves that very key.
    """
    proof = await proof_of(tx, asked, now)
    jkt = "" if proof is None else proof.jkt
    if subject.dpop_jkt and asked.client.public and jkt != subject.dpop_jkt:
        raise _bad_subject("bound to another key, or no proof of possession")
    return jkt or subject.dpop_jkt
