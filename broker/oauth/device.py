"""The device authorization endpoint (RFC 8628 §3.1): what has no browser asks, and a person answers elsewhere."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.core.clock import from_seconds
from broker.core.errors import OAuthError, Unavailable
from broker.core.handle import Entropy, digest, new_handle, new_id, system_entropy
from broker.core.secret import Secret
from broker.core.strict_json import dumps
from broker.oauth.asked_details import Catalogue, read_asked
from broker.oauth.form_post import NO_STORE, Asked, FormPost
from broker.oauth.grant_action import read_action, require_named_grant
from broker.oauth.grant_types import DEVICE_CODE, require_use
from broker.oauth.request import check_scope_and_resource, store
from broker.oauth.user_code import UserCode, UserCodes, new_user_code
from broker.settings import Settings
from broker.store import devices
from broker.store.grant_tables import Device, GrantRequest

MAX_NAME = 80

_TRIES = 8


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """All checks of an authorization request, made now; the device polls the token endpoint for the answer."""

    post: FormPost
    settings: Settings
    catalogue: Catalogue
    user_codes: UserCodes
    entropy: Entropy = system_entropy

    async def endpoint(self, request: Request) -> Response:
        if not self.settings.device_grant:
            raise HTTPException(404)
        return await self.post.run(request, self._answer)

    async def _answer(self, asked: Asked) -> Response:
        require_use(asked.client, DEVICE_CODE)
        checked, claim = self._check(asked), _claim(asked)
        device_code, user_code = await self.post.db.write(lambda tx: self._store(tx, asked, checked, claim))
        page = f"{self.settings.public_url}/device"
        body = {
            "device_code": device_code.reveal(),
            "user_code": user_code.shown(),
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_code.shown()}",
            "expires_in": self.settings.device_seconds,
            "interval": self.settings.device_poll_seconds,
        }
        return JSONResponse(body, headers=NO_STORE)

    def _check(self, asked: Asked) -> GrantRequest:
        """The request as it will be stored; nobody has opened it until somebody enters its code."""
        check_scope_and_resource(asked.form, self.settings)
        details = read_asked(asked.form, asked.client, self.settings, self.catalogue)
        action, now = read_action(asked.form), self.post.clock()
        return GrantRequest(
            id=new_id("grq"),
            kind="device",
            client_id=asked.client.id,
            redirect_uri="",
            code_challenge="",
            asked=dumps([access.to_wire() for access in details.accesses]).decode(),
            details_type=details.type,
            created_at=now,
            ends_at=now + from_seconds(self.settings.device_seconds),
            action=action.action,
            asked_grant_id=action.grant_id,
        )

    async def _store(
        self, tx: AsyncSession, asked: Asked, request: GrantRequest, claim: str
    ) -> tuple[Secret, UserCode]:
        """The two codes, of which only digests are kept."""
        await require_named_grant(tx, request, request.created_at)
        device_code, user_code = Secret(new_handle("dev")), await self._free_code(tx)
        await store(tx, request)
        device = Device(
            digest=digest(device_code.reveal()),
            user_code_digest=self.user_codes.digest(user_code),
            request_id=request.id,
            client_id=request.client_id,
            asked_from=asked.address,
            claim=claim,
            created_at=request.created_at,
            interval=self.settings.device_poll_seconds,
            ends_at=request.ends_at,
        )
        await devices.add(tx, device)
        return device_code, user_code

    async def _free_code(self, tx: AsyncSession) -> UserCode:
        for _ in range(_TRIES):
            code = new_user_code(self.entropy)
            if await devices.with_user_code(tx, self.user_codes.digest(code)) is None:
                return code
        raise Unavailable(detail="no user code that is not taken")


def _claim(asked: Asked) -> str:
    """What the device says it is, a parameter of ours; it is cleaned where it is shown."""
    claim = asked.form.text("device_name")
    if len(claim) > MAX_NAME:
        raise OAuthError("invalid_request", f"The device_name has more than {MAX_NAME} characters.")
    return claim
