"""Bounds how often a person or an address may fail in a quarter of an hour."""

import hashlib
import hmac
from ipaddress import IPv6Address, ip_address, ip_network

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import MINUTE
from broker.store import attempts

WINDOW = 15 * MINUTE


class Throttle:
    """Counts tries before they are judged, so that many at once are no way around it."""

    def __init__(self, key: bytes, tries_person: int, tries_address: int, window: int = WINDOW) -> None:
        """Two that count different things have different keys; no window is longer than WINDOW."""
        self._key = key
        self._window = window
        self._most = {"person": tries_person, "address": tries_address, "setup": tries_person}

    async def admit(self, tx: AsyncSession, now: int, **subjects: str) -> "Admitted | Wait":
        """`subjects` by kind: person, address, setup. A try that must wait is not counted."""
        keys = {self._name(kind, subject): self._most[kind] for kind, subject in subjects.items()}
        opens = [
            oldest + self._window
            for key, most in keys.items()
            if (oldest := await attempts.nth_newest(tx, key, most, now - self._window)) is not None
        ]
        if opens:
            return Wait(max(opens))
        await attempts.sweep(tx, now - WINDOW)
        return Admitted([await attempts.add(tx, key, now) for key in keys])

    def _name(self, kind: str, subject: str) -> str:
        text = network_of(subject) if kind == "address" else subject
        return f"{kind}:{hmac.new(self._key, f'{kind}:{text}'.encode(), hashlib.sha256).hexdigest()}"


class Wait:
    """No more tries until that instant."""

    def __init__(self, until: int) -> None:
        self.until = until


class Admitted:
    """A try that counts as failed until it is forgotten."""

    def __init__(self, attempt_ids: list[str]) -> None:
        self._ids = attempt_ids

    async def forget(self, tx: AsyncSession) -> None:
        await attempts.forget(tx, self._ids)


def network_of(address: str) -> str:
    """Whose an address is, as far as one can tell; anything else is left as it is."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    # One household or server has a whole /64 of IPv6 addresses to try from.
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
