"""What the token endpoint answers."""

from dataclasses import dataclass

from starlette.responses import JSONResponse

from broker.core.access import TPX_TYPE, TYPE, Access
from broker.core.clock import SECOND
from broker.core.secret import Secret
from broker.oauth import tpx
from broker.oauth.form_post import NO_STORE
from broker.oauth.issue import IssuedToken


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    issued: IssuedToken
    grant_id: str
    grant_left: int
    """Microseconds the grant has left."""
    refresh_token: Secret | None = None
    refresh_left: int = 0
    """Microseconds the refresh token has left."""
    details_type: str = TYPE
    """The type of authorization_details that the client asked in."""
    issued_token_type: str = ""
    """Of a token exchange (RFC 8693 §2.2.1)."""

    def to_response(self) -> JSONResponse:
        """RFC 6749 §5.1, RFC 9396 §7, and the expiry members of the refresh token expiration draft."""
        body: dict[str, object] = {
            "access_token": self.issued.token.reveal(),
            "token_type": "DPoP" if self.issued.jkt else "Bearer",
            "expires_in": self.issued.expires_in,
            "authorization_expires_in": self.grant_left // SECOND,
            "authorization_details": in_type(self.issued.details, self.details_type),
            "grant_id": self.grant_id,
        }
        if self.issued_token_type:
            body["issued_token_type"] = self.issued_token_type
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token.reveal()
            body["refresh_token_timeout"] = self.refresh_left // SECOND
        return JSONResponse(body, headers=NO_STORE)


def in_type(details: tuple[Access, ...], details_type: str) -> list[dict[str, object]]:
    """The granted objects as the client reads them (RFC 9396 §7)."""
    said = tpx.in_its_words(details) if details_type == TPX_TYPE else []
    return said or [element.to_wire() for element in details]
