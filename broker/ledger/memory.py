"""What is known from the transactions before; each use of it is confirmed by the database in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.ledger.ask import Ask, GoOn
from broker.ledger.fold import Entries
from broker.ledger.rates import Kept
from broker.ledger.ready import Ready, Use
from broker.ledger.settle import Held
from broker.ledger.standing import Standing, read_standings
from broker.ledger.statements import LOOK, OTHERS
from broker.ledger.tally import Tallies
from broker.store.steps import Steps

MOST_KEPT = 20_000
_UNKNOWN = -1


@dataclass(slots=True)
class Memory:
    tallies: Tallies = field(default_factory=Tallies)
    standings: dict[str, Standing] = field(default_factory=dict)
    ready: dict[Use, Ready] = field(default_factory=dict)
    running: dict[str, Held] = field(default_factory=dict)
    """Calls that were admitted here and have not ended."""
    rates: Kept = field(default_factory=Kept)
    leases: dict[str, int] = field(default_factory=dict)
    """When the leases end that have not been ended."""
    entries: Entries = field(default_factory=Entries)
    changes: int = 0
    """The counter of changes that may end calls."""
    epoch: int = _UNKNOWN
    version: int = _UNKNOWN
    """The database's own number of what others have committed."""

    def refresh(self, asks: Sequence[Ask | GoOn], now: int) -> Steps[None]:
        """Forgets what others may have changed, and reads what these calls need besides.

        Windows stay, those of this transaction where they are shared. On SQLite one process at a time admits calls. Had
        another done so all the same, it would have moved a counter of the access, and ours could not be written; unless it
        moved it back, as a call does that has not run.
        """
        found = yield OTHERS, [()]
        version = found[0][0] if found else _UNKNOWN
        if version == _UNKNOWN or version != self.version:
            self.leases.clear()
        unheard = {ask.boot_id for ask in asks}.difference(self.leases)
        if unheard:
            yield from self._look(unheard)
            self.version = version
        if len(self.standings) > MOST_KEPT or len(self.ready) > MOST_KEPT:
            self.standings.clear()
            self.ready.clear()
        unknown = {ask.jti for ask in asks}.difference(self.standings)
        if unknown:
            self.standings |= yield from read_standings(unknown)

    def _look(self, boot_ids: set[str]) -> Steps[None]:
        for epoch, changes, boot_id, lease_ends_at in (yield LOOK, [(boot_id,) for boot_id in boot_ids]):
            self.changes = changes
            if epoch != self.epoch:
                self.standings.clear()
                self.ready.clear()
                # While no rate of an access was limited, its calls were not added to the window that it had before.
                self.rates.clear()
                self.epoch = epoch
            if boot_id is not None:
                self.leases[boot_id] = lease_ends_at

    def make_room(self) -> None:
        """To be called between transactions. A window without the counters that would contradict it is not believed."""
        if self.tallies.make_room() or len(self.rates.windows) > MOST_KEPT:
            self.rates.clear()

    def undone(self) -> None:
        """What was read in a transaction that was undone may be of a change that was undone with it."""
        self.entries.undone()
        self.epoch = self.version = _UNKNOWN

    def doubt(self) -> None:
        """What we have just changed ourselves is seen by nobody's number."""
        self.version = _UNKNOWN
