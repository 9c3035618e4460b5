"""The proxy with all it needs, and the loops that keep its promises while it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import SYSTEM, record
from broker.core.clock import Clock
from broker.core.credential import SealedKey
from broker.core.errors import BrokerError, CallRefused, Unavailable
from broker.ledger.books import Books
from broker.ledger.lease import Lease, Monotonic
from broker.ledger.reserve import Reserver
from broker.ledger.rollup import roll_up
from broker.ledger.sweep import sweep
from broker.ops.log import logger
from broker.prices.book import PriceBook
from broker.providers.client import ProviderClient
from broker.providers.fault import Fault
from broker.providers.registry import Registry
from broker.proxy.authenticate import Verify
from broker.proxy.exchange import Means
from broker.proxy.jobs import Jobs
from broker.proxy.kept import KeptObjects
from broker.proxy.listing import Listing
from broker.proxy.noted import Noted
from broker.proxy.opened import OpenedKeys
from broker.proxy.other_model import OtherModels
from broker.proxy.pipeline import Proxy
from broker.proxy.proven import Prover
from broker.proxy.refuse import Refuser
from broker.proxy.renewal import Renewal
from broker.proxy.running import Running
from broker.proxy.uploads import Uploads
from broker.settings import Settings
from broker.store import changes, credentials, grant_requests, quarantine
from broker.store.database import Database
from broker.store.steps import run_steps
from broker.vault.credentials import open_credential
from broker.vault.vault import Vault

log = logger("proxy")

SWEEP_SECONDS = JOB_SECONDS = 5.0
RENEWAL_SECONDS = 15.0
_STOP_PATIENCE = 20.0


class ProxyService:
    """`app` answers under /proxy between `start` and `stop`."""

    def __init__(
        self, db: Database, books: Books, clock: Clock, monotonic: Monotonic, settings: Settings, vault: Vault, client: ProviderClient,
        registry: Registry, prices: PriceBook, verify: Verify, prover: Prover,
    ) -> None:  # fmt: skip
        self._db = db
        self._books = books
        self._clock = clock
        self._heartbeat = settings.heartbeat_seconds
        self._registry = registry
        self._prices = prices
        self._lease = Lease(db, clock, monotonic, settings.call_lease_seconds)
        self._running = Running(db, clock, self._lease)
        self.on_change: list[Callable[[], Awaitable[None]]] = []
        """What else is to be read anew when something changed."""
        self._is_behind = False
        self._told = asyncio.Event()
        """Set when the store says that something was taken away; then nobody waits for the next look."""
        self._listener = changes.listener(db, self._told.set)
        self._loops: list[asyncio.Task[None]] = []
        self._marking: set[asyncio.Task[None]] = set()
        self._opened = OpenedKeys(lambda row: open_credential(vault, row, registry.environment_key))
        self._reserve = Reserver(books, clock, self._lease)
        self.jobs = Jobs(db, books, client, registry, self._opened, clock)
        self._renewal = Renewal(db, vault, client, clock)
        means = Means(
            reserve=self._reserve,
            books=books,
            client=client,
            open_key=self._opened,
            key_judged=self._key_judged,
            refuser=Refuser(settings.public_url, prover.algorithms),
            running=self._running,
            renewal=self._renewal,
            kept=KeptObjects(db, clock, settings.public_url, self.jobs.hastened.set),
            clock=clock,
            other_models=OtherModels(prices, clock),
            silence=settings.upstream_silence_seconds,
        )
        self.app = Proxy(
            means, verify, prover, registry, prices, Listing(db, clock, prices), Noted(db, clock),
            Uploads(vault.derive("uploads"), clock),
            default_output=settings.default_output_tokens, max_body=settings.max_body_bytes,
            max_header=settings.max_header_bytes,
        )  # fmt: skip

    async def start(self) -> None:
        self._prices.warm()
        await self._lease.take()
        await self._look()
        await sweep(self._db, self._books, self._clock)
        beats = ((self._heartbeat, self._renew), (SWEEP_SECONDS, self._sweep))
        self._loops = [asyncio.create_task(_every(seconds, work)) for seconds, work in beats]
        self._loops.append(asyncio.create_task(_every(changes.LOOK_SECONDS, self._look, self._told)))
        self._loops.append(asyncio.create_task(_every(RENEWAL_SECONDS, self._renewal.look)))
        self._loops.append(asyncio.create_task(_every(JOB_SECONDS, self.jobs.tend, self.jobs.hastened)))
        if self._listener is not None:
            self._listener.start()

    async def stop(self) -> None:
        """Cuts and settles what still runs; what cannot be settled in time is the sweep's."""
        await self.app.stop(_STOP_PATIENCE)
        if self._listener is not None:
            await self._listener.stop()
        for loop in self._loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop
        if self._marking:
            await asyncio.wait(self._marking)
        if not len(self._running):
            with suppress(BrokerError):
                await self._lease.give_back()

    async def _look(self) -> None:
        self._opened.forget()
        if await self._running.look():
            self._is_behind = True
        if self._is_behind:
            await self._registry.refresh(self._db)
            await self._prices.refresh(self._db)
            for read_anew in self.on_change:
                await read_anew()
            self.app.usual.forget()
            self._is_behind = False

    async def _renew(self) -> None:
        """A worker that slept through its lease ends the calls it held, and begins anew."""
        if not await self._lease.renew():
            log.warning("lease.lapsed", running=len(self._running))
            self._running.cut_all(CallRefused("unavailable", Unavailable.description))
            await self._lease.take()

    async def _sweep(self) -> None:
        await self._reserve.give_back()
        await roll_up(self._db)
        await sweep(self._db, self._books, self._clock)
        if await self._db.read(lambda tx: grant_requests.has_ended_codes(tx, self._clock())):
            await self._db.write(lambda tx: grant_requests.erase_ended_codes(tx, self._clock()))

    def _key_judged(self, row: SealedKey, said: str, fault: Fault | None) -> None:
        task = asyncio.create_task(self._mark(row, said, fault))
        self._marking.add(task)
        task.add_done_callback(self._marking.discard)

    async def _mark(self, row: SealedKey, said: str, fault: Fault | None) -> None:
        """Its owner sees it on the key's card and on the pages of the grants that use it."""

        async def work(tx: AsyncSession) -> None:
            now = self._clock()
            # Several calls may have learnt the same at once.
            if said != row.state and await credentials.mark(tx, row, said, now):
                await record(tx, now, f"credential.{said}", SYSTEM, row.id, provider=row.provider)
            if fault is not None:
                await run_steps(await tx.connection(), quarantine.rest(row, fault.cause, fault.until, now))
            elif said == "working" and row.rests_until > now:
                await quarantine.end(tx, row.id)

        with suppress(BrokerError):
            await self._db.write(work)


async def _every(seconds: float, work: Callable[[], Awaitable[object]], sooner: asyncio.Event | None = None) -> None:
    while True:
        await _pause(seconds, sooner)
        try:
            await work()
        except BrokerError as error:
            log.warning("loop.waits", work=getattr(work, "__name__", ""), detail=error.detail)
        except Exception as error:  # a loop that ends would end the promise it keeps
            log.exception("loop.broke", exc_info=error)


async def _pause(seconds: float, sooner: asyncio.Event | None) -> None:
    if sooner is None:
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(sooner.wait(), seconds)
    sooner.clear()
