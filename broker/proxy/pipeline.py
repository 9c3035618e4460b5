"""A call, in four steps: authenticate, reserve, forward, settle. The file to read first."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.core.extras import NO_EXTRAS
from broker.core.usage import Price
from broker.ledger.ask import IdempotencyKey
from broker.ledger.judge import NO_PRICE, Demand, nothing_here
from broker.ops.log import logger
from broker.prices.book import FREE, PriceBook, output_limit, using
from broker.prices.output import usual_output
from broker.providers.anthropic import Anthropic
from broker.providers.azure import Azure
from broker.providers.client import Headers
from broker.providers.cohere import Cohere
from broker.providers.conversation import conversation_of
from broker.providers.dialect import Dialect, Endpoint, Reading
from broker.providers.google import Google
from broker.providers.google_files import MakeFile
from broker.providers.mistral import Mistral
from broker.providers.openai import OpenAI
from broker.providers.paging import paging
from broker.providers.registry import Provider, Registry
from broker.proxy.asked import Rest
from broker.proxy.authenticate import NoToken, Principal, Verify, authenticate, read_token
from broker.proxy.channel import Head
from broker.proxy.exchange import Exchange, Means
from broker.proxy.forward import Work
from broker.proxy.kept import forgetful
from broker.proxy.large import MANY, LargeBodies
from broker.proxy.listing import Listing, model_at
from broker.proxy.noted import Noted
from broker.proxy.proven import NONCE, Prover, giving, require_proof
from broker.proxy.read import ClientLeft, Route, check_framing, parse_body, read_body, read_route, read_typed
from broker.proxy.refuse import NotAllowed, not_found, refused
from broker.proxy.repeat import key_in, read_key
from broker.proxy.respond import relay, send_whole
from broker.proxy.uploads import UPLOADED, Uploads, check_whole, telling_status
from broker.proxy.usual import UsualCalls

log = logger("proxy")

_USUAL = OpenAI()
"""Of refusals where no provider was named."""

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (_USUAL, Anthropic(), Google(), Mistral(), Cohere(), Azure())
}
"""What each provider speaks; a path that its dialect has no endpoint for is not forwarded."""

STATUS = b"/proxy/status"
_READING = ("GET", "HEAD")
"""What the broker tells by itself is asked by these; the server leaves the content of an answer to HEAD away."""
_SHORTLY = 0.01


class Proxy:
    """An ASGI application for everything under /proxy."""

    def __init__(
        self, means: Means, verify: Verify, prover: Prover, registry: Registry, prices: PriceBook, listing: Listing, noted: Noted,
        uploads: Uploads, *, default_output: int, max_body: int, max_header: int,
    ) -> None:  # fmt: skip
        self._means = means
        self._verify = verify
        self._prover = prover
        self._registry = registry
        self._prices = prices
        self._listing = listing
        self._noted = noted
        self._uploads = uploads
        self._default_output = default_output
        self._max_body = max_body
        self._max_header = max_header
        self._large = LargeBodies()
        self._exchanges: set[asyncio.Task[None]] = set()
        self.usual = UsualCalls(means, verify, self._demand, self._start, max_body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = read_route(scope)
        provider = self._registry.get(route.provider) if route else None
        dialect = DIALECTS.get(provider.dialect, _USUAL) if provider else _USUAL
        try:
            heard = await self._hear(scope, receive, route, provider, dialect)
        except ClientLeft:
            return
        except Exception as error:  # whatever it is, nothing was forwarded, and somebody waits for an answer
            if not isinstance(error, BrokerError):
                log.exception("call.broke", exc_info=error)
                error = Unavailable()
            status, more, body = self._means.refuser.answer(refused(error), dialect, bound=NONCE in scope)
            heard = Head(status, more, body)
        if NONCE in scope:
            send = giving(send, scope[NONCE])
        if UPLOADED in scope:
            send = telling_status(send)
        if isinstance(heard, Head):
            await send_whole(scope, send, heard)
        else:
            await relay(heard, scope, receive, send)

    async def _hear(
        self, scope: Scope, receive: Receive, route: Route | None, provider: Provider | None, dialect: Dialect
    ) -> Exchange | Head:
        """A call that has begun, or an answer of our own; raises BrokerError or ClientLeft."""
        check_framing(scope["headers"], self._max_header)
        try:
            principal = await self._principal(scope)
        except NoToken:
            if (sent := await self._sent(scope, receive, route, provider, dialect, None)) is not None:
                return sent
            raise
        if scope["raw_path"] == STATUS:
            _require(scope, *_READING)
            return await self._listing.status(principal)
        if route is None or provider is None:
            raise not_found()
        own_path = provider.own_path(route.path)
        endpoint = dialect.endpoint(scope["method"], own_path)
        if endpoint is None:
            return await self._not_forwarded(scope, principal, provider, dialect, own_path)
        if isinstance(endpoint, MakeFile):
            sent = await self._sent(scope, receive, route, provider, dialect, principal)
            return sent or await self._announced(scope, receive, principal, provider, own_path)
        return await self._read(scope, receive, principal, provider, dialect, endpoint, own_path)

    async def _read(
        self, scope: Scope, receive: Receive, principal: Principal, provider: Provider, dialect: Dialect, endpoint: Endpoint, own_path: str,
    ) -> Exchange:  # fmt: skip
        """A call as its dialect understands it, begun."""
        headers: Headers = scope["headers"]
        key = read_key(headers)
        fields = dict(headers)
        posts = scope["method"] == "POST"
        in_parts, raw = await read_typed(fields, scope, receive, endpoint, self._max_body)
        path = own_path + (dialect.query if posts else paging)(scope["query_string"])
        credential_id = ""
        try:
            if len(raw) < MANY and in_parts is None:
                body, told = parse_body(raw) if raw else {}, raw
                reading = endpoint.read(body, len(raw), provider, path)
            else:
                kind = None if in_parts is None else fields[b"content-type"]
                body, reading, told = await self._large.read(endpoint, kind, raw, provider, path, again=key is not None)
            if provider.is_brought:
                reading = forgetful(reading)
            if reading.names:
                reading, credential_id = await self._found(principal, provider, reading)
        except CallRefused:
            # Whoever may not use this provider is told so first, whatever else is wrong with the request.
            await self._listing.require_granted(principal, provider)
            raise
        asked = f"{reading.method} {provider.name}{path}"
        once = None if key is None else key_in(principal.grant_id, key, asked, told)
        work = Work(
            provider, dialect, reading.answered_by or endpoint, reading, dialect.headers(headers), credential_id
        )
        self.usual.remember(scope, principal, work, path)
        return self._begin(principal, work, self._demand(work, conversation_of(body, headers)), once)

    async def _found(self, principal: Principal, provider: Provider, reading: Reading) -> tuple[Reading, str]:
        """As `found` of what is kept; raises CallRefused."""
        try:
            return await self._means.kept.found(principal, provider.name, reading)
        except CallRefused:
            # Whoever may name nothing of the kind is told so, and not that there is no such thing.
            await self._listing.require_actions(principal, provider, reading.extra_actions | {reading.action})
            raise

    async def _principal(self, scope: Scope) -> Principal:
        token = read_token(scope["headers"])
        principal = authenticate(token, self._verify)
        if principal.jkt or token.with_proof:
            await require_proof(principal, token, self._prover, scope)
        return principal

    async def _announced(
        self, scope: Scope, receive: Receive, principal: Principal, provider: Provider, own_path: str
    ) -> Head:
        """The first request of two about a file: it is answered here."""
        await self._listing.require_actions(principal, provider, frozenset(["files"]))
        raw = await read_body(dict(scope["headers"]), scope, receive, self._max_body)
        address = self._means.kept.base_of(provider.name) + own_path
        return self._uploads.begun(principal, provider.name, address, scope["headers"], raw, self._max_body)

    async def _sent(
        self, scope: Scope, receive: Receive, route: Route | None, provider: Provider | None, dialect: Dialect, principal: Principal | None,
    ) -> Exchange | None:  # fmt: skip
        """The second, which has no token of its own; None where its address does not say what we signed."""
        if route is None or provider is None or not scope["query_string"]:
            return None
        endpoint = dialect.endpoint(scope["method"], provider.own_path(route.path))
        upload = self._uploads.told(scope, provider.name) if isinstance(endpoint, MakeFile) else None
        if upload is None or not isinstance(endpoint, MakeFile):
            return None
        if principal is not None and principal.jti != upload.jti:
            raise nothing_here()
        scope[UPLOADED] = True
        raw = await read_body(dict(scope["headers"]), scope, receive, upload.size)
        check_whole(upload, scope["headers"], raw)
        reading = endpoint.read_file(upload.kind, upload.name, raw, provider)
        work = Work(provider, dialect, endpoint, reading, [])
        return self._begin(self._uploads.principal(upload), work, self._demand(work, 0), None)

    async def _not_forwarded(
        self, scope: Scope, principal: Principal, provider: Provider, dialect: Dialect, own_path: str
    ) -> Head:
        if dialect.is_listing(own_path):
            _require(scope, *_READING)
            return await self._listing.models(principal, provider, dialect)
        if methods := dialect.methods(own_path):
            _require(scope, *methods)
        if scope["method"] in _READING and (model := model_at(dialect, own_path)):
            if (found := await self._listing.model(principal, provider, dialect, model)) is not None:
                return found
        else:
            await self._listing.require_granted(principal, provider)
        raise not_found()

    def _begin(self, principal: Principal, work: Work, demand: Demand, once: IdempotencyKey | None) -> Exchange:
        exchange = Exchange(self._means, principal, work, demand, once)
        self._start(exchange.run(), principal, work)
        return exchange

    def _start(self, rest: Rest, principal: Principal, work: Work) -> None:
        """From here on the call is its own task: the app may leave, the books may not."""
        task = asyncio.create_task(self._run(rest, principal, work))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _run(self, rest: Rest, principal: Principal, work: Work) -> None:
        refusal = await rest
        if refusal is not None:
            self._noted.note(principal, work.provider.name, work.reading, refusal)

    def _demand(self, work: Work, conversation: int) -> Demand:
        reading, name = work.reading, work.provider.name
        return Demand(
            provider=name,
            model=reading.model,
            action=reading.action,
            extra_actions=reading.extra_actions,
            input_bound=reading.input_bound,
            own_output=reading.own_output,
            model_output=self._model_output(name, reading),
            choices=reading.choices,
            covers_reasoning=reading.covers_reasoning,
            streamed=reading.streamed,
            price=self._price(name, reading),
            unbounded=reading.unbounded,
            credential_id=work.credential_id,
            wish=reading.wish,
            conversation=conversation,
            is_fixed=reading.fixed_output is not None,
        )

    def _model_output(self, provider: str, reading: Reading) -> int:
        if reading.fixed_output is not None:
            return reading.fixed_output
        if reading.own_output is not None or not reading.covers_reasoning:
            return output_limit(provider, reading.model) or self._default_output
        return usual_output(provider, reading.model, reading.input_bound, self._default_output)

    def _price(self, provider: str, reading: Reading) -> Price:
        if reading.is_free:
            return FREE
        now = self._means.clock()
        if reading.is_batch:
            found = self._prices.find_batch(provider, reading.model, now)
        else:
            lasts = "background" in reading.extra_actions
            found = self._prices.find(provider, reading.model, now, reading.priced_by, reading.tier, lasts=lasts)
        if found is not None and reading.at_once is not None:
            found = found.within(reading.at_once)
        if found is not None and reading.most is not NO_EXTRAS:
            found = using(provider, found, reading.most)
        if found is None:
            return NO_PRICE
        return replace(found, writes_long=True) if reading.writes_long else found

    async def stop(self, patience: float) -> None:
        """Cuts what still runs and waits until it is settled."""
        self._means.running.cut_all(CallRefused("unavailable", "This server is stopping."))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._exchanges or self.usual.calls:  # noqa: ASYNC110 - what ends them is no one event
                    await asyncio.sleep(_SHORTLY)
        await self._noted.finish()


def _require(scope: Scope, *methods: str) -> None:
    if scope["method"] not in methods:
        raise NotAllowed(methods)
