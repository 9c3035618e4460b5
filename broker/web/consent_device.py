"""What the consent page says of a device that asks: the code to compare, what we know of it, and what it says of itself."""

from dataclasses import dataclass

from broker.oauth.device import MAX_NAME
from broker.oauth.device_entry import entered_code
from broker.store.grant_tables import Device
from broker.vault.vault import Vault
from broker.web.foreign import clean, quoted
from broker.web.words import ago


@dataclass(frozen=True, slots=True)
class DeviceBlock:
    code: str
    asked_at: int
    ago: str
    address: str
    """Where it asked from; empty where nobody knows."""
    claim: str
    """In quotation marks; empty where it says nothing."""


def device_block(device: Device, vault: Vault, now: int) -> DeviceBlock:
    code = entered_code(vault, device)
    return DeviceBlock(
        code="" if code is None else code.shown(),
        asked_at=device.created_at,
        ago=ago(device.created_at, now),
        address=clean(device.asked_from),
        claim=quoted(device.claim, MAX_NAME) if clean(device.claim) else "",
    )
