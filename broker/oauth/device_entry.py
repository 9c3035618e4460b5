"""A person enters the code that their device shows: it is compared here, and nothing is approved by it (RFC 8628 §3.3)."""

from dataclasses import dataclass
from enum import Enum, auto

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.grant import RequestState
from broker.core.secret import Secret
from broker.oauth.user_code import UserCode, UserCodes
from broker.store import answers, devices, grant_requests
from broker.store.grant_tables import Device
from broker.store.tables import User
from broker.vault.places import user_code_place
from broker.vault.vault import Vault


class Wrong(Enum):
    """Why a code leads nowhere."""

    UNKNOWN = auto()
    ENDED = auto()
    USED = auto()
    """It was answered, or another person has entered it."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    user_codes: UserCodes
    vault: Vault

    async def enter(self, tx: AsyncSession, code: UserCode | None, user: User, now: int) -> str | Wrong:
        """The id of the grant request, which is this person's from now on."""
        device = None if code is None else await devices.with_user_code(tx, self.user_codes.digest(code))
        found = None if device is None else await grant_requests.load_with_client(tx, device.request_id)
        if code is None or device is None or found is None:
            return Wrong.UNKNOWN
        request, _ = found
        if request.state != RequestState.PENDING.value or request.user_id not in (None, user.id):
            return Wrong.USED
        if request.ends_at <= now:
            return Wrong.ENDED
        await answers.open_for(tx, request, user.id, now, request.ends_at)
        await devices.keep_user_code(tx, device.digest, self.vault.seal(Secret(code.letters), user_code_place(device)))
        return request.id


def entered_code(vault: Vault, device: Device) -> UserCode | None:
    """The code as it was entered; None for a device whose code nobody has entered."""
    if not device.sealed_user_code:
        return None
    return UserCode(vault.open(device.sealed_user_code, user_code_place(device)).reveal())
