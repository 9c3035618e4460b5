"""The keys of the calls of the last moment, opened: opening one takes as long as judging its call."""

from collections.abc import Callable

from broker.core.credential import SealedKey
from broker.core.secret import Secret

MOST = 256

Open = Callable[[SealedKey], Secret | None]


class OpenedKeys:
    """Each is opened for the row that a reservation has just named; all are forgotten again within half a second."""

    def __init__(self, open_key: Open) -> None:
        self._open = open_key
        self._opened: dict[SealedKey, Secret] = {}

    def __call__(self, row: SealedKey) -> Secret | None:
        """None for a key that is not there; raises Unavailable."""
        key = self._opened.get(row)
        if key is None:
            key = self._open(row)
            if key is not None and len(self._opened) < MOST:
                self._opened[row] = key
        return key

    def forget(self) -> None:
        self._opened.clear()
