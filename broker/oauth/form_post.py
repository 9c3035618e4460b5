"""The steps that each endpoint for form posts shares, so that none can forget one: bound, form, client, error."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from broker.core.clock import Clock
from broker.core.errors import BadForm, OAuthError, Unavailable
from broker.core.forms import MAX_BYTES, Form, parse_form
from broker.core.strict_json import JSONValue, NotStrict, dumps, loads
from broker.oauth.client_auth import ClientAuthentication, read_client
from broker.oauth.dpop import Proof, ShownBefore
from broker.oauth.proof_reader import HEADER as PROOF
from broker.oauth.proof_reader import ProofReader
from broker.oauth.replays import Replays
from broker.oauth.throttle import Throttle, Throttled
from broker.ops.log import logger
from broker.store.database import Database
from broker.store.tables import Client

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
MAX_SECONDS = 10
FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"

_log = logger("oauth")

AddressOf = Callable[[Request], str]
"""The address a request came from, as far as it can be believed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A form post by a client that has authenticated itself."""

    form: Form
    client: Client
    arrived_at: int
    headers: Headers
    address: str
    """The network address it came from, as far as it can be believed."""
    proof: Proof | None = None
    """Of possession of a key, where the endpoint looks for one; it may have been shown before."""


Answer = Callable[[Asked], Awaitable[Response]]
ReadForm = Callable[[Request], Awaitable[Form]]


@dataclass(frozen=True, slots=True)
class FormPost:
    """Runs an endpoint's own part between the shared ones."""

    db: Database
    clock: Clock
    throttle: Throttle
    address_of: AddressOf
    authentication: ClientAuthentication
    proofs: ProofReader
    replays: Replays

    async def run(
        self, request: Request, answer: Answer, *, proves: bool = False, reads: ReadForm | None = None
    ) -> Response:
        """`proves` says that a client may prove here that it holds a key, and so is given a nonce to do it with."""
        response = await answered(self._answer(request, answer, reads or read_form, proves=proves))
        if proves and PROOF in request.headers:
            response.headers.update(self.proofs.fresh_nonce())
        return response

    async def _answer(self, request: Request, answer: Answer, reads: ReadForm, *, proves: bool) -> Response:
        arrived_at = self.clock()
        address = self.address_of(request)
        self.throttle.admit(address)
        form = await reads(request)
        client = await self.client_of(request, form)
        shown = request.headers.getlist(PROOF) if proves else []
        proof = self.proofs.read(shown, request.method, request.url.path)
        try:
            return await answer(Asked(form, client, arrived_at, request.headers, address, proof))
        except ShownBefore as error:
            await self.replays.note(client.id, error.jkt)
            raise

    async def client_of(self, request: Request, form: Form) -> Client:
        """Raises OAuthError invalid_client."""
        presented = read_client(request.headers.getlist("authorization"), form)
        client = await self.authentication(presented, path=request.url.path, asked_from=self.address_of(request))
        request.state.client_id = client.id  # whose pages may read the answer
        return client


async def answered(answer: Awaitable[Response]) -> Response:
    """The answer, or in its place the error that it came to."""
    try:
        return await answer
    except OAuthError as error:
        _log.info("oauth_error", error=error.error, detail=error.detail or error.description)
        return error_answer(error)
    except BadForm as error:
        _log.info("oauth_error", error="invalid_request", detail=error.detail)
        return error_answer(_unreadable())
    except Unavailable as error:
        _log.error("unavailable", detail=error.detail)
        busy = OAuthError("temporarily_unavailable", "The server cannot answer now. Try again.", status=503)
        return error_answer(busy, retry_after=error.retry_after)


async def read_form(request: Request) -> Form:
    """Raises OAuthError or BadForm; parameters in the query are not looked at (RFC 6749 §2.3.1)."""
    form = parse_form(await read_form_bytes(request))
    if form.has_repeated():
        raise OAuthError("invalid_request", "A parameter stands more than once.")
    return form


async def read_form_or_json(request: Request) -> Form:
    """As `read_form`, where a client may also send the parameters as the members of a JSON object, each a text."""
    if _kind_of(request) != JSON_TYPE:
        return await read_form(request)
    try:
        told = loads(await read_body(request, JSON_TYPE, MAX_BYTES))
    except NotStrict as error:
        raise BadForm(detail=f"not strict JSON: {error}") from error
    if not isinstance(told, dict):
        raise BadForm(detail="not a JSON object")
    # Parameters that are JSON themselves, such as authorization_details, may stand as what they are.
    fields = {name: [_text_of(value)] for name, value in told.items() if value is not None}
    if any("\x00" in name + value for name, (value,) in fields.items()):
        raise BadForm(detail="NUL in a JSON object")
    return Form(fields)


def _text_of(value: JSONValue) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


async def read_form_bytes(request: Request) -> bytes:
    return await read_body(request, FORM_TYPE, MAX_BYTES)


async def read_body(request: Request, kind: str, most: int) -> bytes:
    """Of this content type, within bounds of size and time; raises OAuthError or BadForm."""
    if _kind_of(request) != kind:
        raise OAuthError("invalid_request", f"The body must be {kind}.")
    raw = bytearray()
    try:
        with anyio.fail_after(MAX_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > most:
                    raise OAuthError("invalid_request", "The body is too large.", status=413)
    except (TimeoutError, ClientDisconnect):
        raise BadForm(detail="the body did not come") from None
    return bytes(raw)


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def error_answer(error: OAuthError, *, retry_after: int | None = None) -> JSONResponse:
    """RFC 6749 §5.2."""
    headers = dict(NO_STORE)
    if error.basic and error.status == 401:
        headers["www-authenticate"] = 'Basic realm="broker", charset="UTF-8"'
    if isinstance(error, Throttled):
        retry_after = error.retry_after
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    body = {"error": error.error, "error_description": error.description}
    return JSONResponse(body, error.status, headers)


def _unreadable() -> OAuthError:
    return OAuthError("invalid_request", "The form cannot be read.")
