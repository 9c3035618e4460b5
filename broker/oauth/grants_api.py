"""A client reads a grant of its own, or gives it back (FAPI Grant Management): what is left, without asking anybody."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.audit.record import record
from broker.core.errors import InvalidToken, OAuthError
from broker.core.forms import Form
from broker.core.grant import GrantEvent
from broker.ledger.standing import read_standings
from broker.ledger.view import Wire, grant_object
from broker.oauth.form_post import NO_STORE, FormPost, answered, error_answer
from broker.oauth.proof_reader import HEADER as PROOF
from broker.oauth.resource_proofs import ResourceProofs
from broker.oauth.signing import Signer
from broker.store import grants, receipts
from broker.store.grant_tables import ConsentReceipt, Grant

MOST_RECEIPTS = 100
"""The newest; who wants to keep them all fetches each when it was approved."""

_OF_TOKENS = ("invalid_token", "invalid_dpop_proof", "use_dpop_nonce")


@dataclass(frozen=True, slots=True)
class Caller:
    """A client; with an access token, one that is there for the grant of that token alone."""

    client_id: str
    only: str | None = None


@dataclass(frozen=True, slots=True)
class GrantsEndpoint:
    """A GET has no form, so a client authenticates by its secret in the header, or else shows a token of the grant."""

    post: FormPost
    signer: Signer
    prover: ResourceProofs

    async def show(self, request: Request) -> Response:
        return await answered(self._run(request, self._show))

    async def revoke(self, request: Request) -> Response:
        return await answered(self._run(request, self._revoke))

    async def receipts(self, request: Request) -> Response:
        return await answered(self._run(request, self._receipts))

    async def _run(self, request: Request, answer: Callable[[Caller, str], Awaitable[Response]]) -> Response:
        self.post.throttle.admit(self.post.address_of(request))
        try:
            caller = await self._caller(request)
        except OAuthError as error:
            if error.error not in _OF_TOKENS:
                raise
            return self._challenge(request, error)
        return await answer(caller, request.path_params["grant_id"])

    async def _show(self, caller: Caller, grant_id: str) -> Response:
        now = self.post.clock()

        async def work(tx: AsyncSession) -> Wire:
            return await grant_object(tx, await _require(tx, caller, grant_id), now)

        return JSONResponse(await self.post.db.read(work), headers=NO_STORE)

    async def _receipts(self, caller: Caller, grant_id: str) -> Response:
        async def work(tx: AsyncSession) -> list[ConsentReceipt]:
            grant = await _require(tx, caller, grant_id)
            return await receipts.newest_of(tx, grant.id, MOST_RECEIPTS)

        found = [{"id": row.id, "receipt": row.signed} for row in await self.post.db.read(work)]
        return JSONResponse({"receipts": found}, headers=NO_STORE)

    async def _revoke(self, caller: Caller, grant_id: str) -> Response:
        now = self.post.clock()

        async def work(tx: AsyncSession) -> None:
            grant = await _require(tx, caller, grant_id)
            if await grants.move(tx, grant.id, GrantEvent.REVOKE, now, by=caller.client_id):
                await record(tx, now, "grant.revoked", caller.client_id, grant.id)

        await self.post.db.write(work)
        return Response(status_code=204, headers=NO_STORE)

    async def _caller(self, request: Request) -> Caller:
        """Raises OAuthError."""
        shown = request.headers.getlist("authorization")
        if len(shown) > 1:
            raise OAuthError("invalid_request", "The request has more than one Authorization header.")
        if not shown:
            raise _invalid("no credential at all")
        scheme, _, credential = shown[0].partition(" ")
        if scheme.lower() in ("bearer", "dpop"):
            return await self._by_token(request, scheme.lower(), credential.strip())
        client = await self.post.client_of(request, Form({}))
        if client.public:
            raise OAuthError("invalid_client", "A public client shows a token of the grant.", status=401, basic=True)
        return Caller(client.id)

    async def _by_token(self, request: Request, scheme: str, token: str) -> Caller:
        try:
            claims = self.signer.verify_access_token(token, self.post.clock())
        except InvalidToken as error:
            raise _invalid(error.detail) from error
        if (scheme == "dpop") != bool(claims.jkt):
            raise _invalid("a token under another scheme than its own")
        if claims.jkt:
            proofs = request.headers.getlist(PROOF)
            await self.prover.check(
                token, claims.jkt, proofs, request.method, request.url.path, grant_id=claims.grant_id
            )
        found = await self.post.db.read_steps(read_standings([claims.jti]))
        if claims.jti not in found or found[claims.jti].at(self.post.clock()) is None:
            raise _invalid("revoked or ended")
        return Caller(claims.client_id, only=claims.grant_id)

    def _challenge(self, request: Request, error: OAuthError) -> Response:
        """RFC 6750 §3: no error in it where no credential came at all."""
        response = error_answer(OAuthError(error.error, error.description, status=401))
        said = f'error="{error.error}"' if "authorization" in request.headers else ""
        proven = f'algs="{" ".join(self.prover.algorithms)}"'
        response.headers.append("www-authenticate", f"Bearer {said}".strip())
        response.headers.append("www-authenticate", f"DPoP {', '.join(filter(None, (said, proven)))}")
        if PROOF in request.headers:
            response.headers.update(self.post.proofs.fresh_nonce())
        return response


async def _require(tx: AsyncSession, caller: Caller, grant_id: str) -> Grant:
    """Raises OAuthError 404, also for a grant of another client's, or of another token's."""
    grant = await grants.load(tx, grant_id) if caller.only in (None, grant_id) else None
    if grant is None or grant.client_id != caller.client_id:
        raise OAuthError("not_found", "There is no such grant of this client.", status=404)
    return grant


def _invalid(detail: str) -> OAuthError:
    return OAuthError(
        "invalid_token", "The access token is not valid: it is malformed, expired, revoked or unknown.", detail=detail
    )
