"""Consent receipts: what was asked, shown and granted at one approval, signed for both sides to keep."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.core.clock import to_seconds
from broker.core.handle import digest, new_id
from broker.core.strict_json import JSONValue, loads
from broker.oauth.consent import Approved
from broker.oauth.consent_case import Case
from broker.oauth.signing import Signer
from broker.store import receipts
from broker.store.grant_tables import ConsentReceipt, GrantRequest

VERSION = "1"
"""Of the claims, as the published schema has them."""


@dataclass(frozen=True, slots=True)
class Said:
    """The page as the person who approved read it: the app by its name and address there, and all of its words."""

    app: str
    address: str
    text: str
    language: str = "en"


async def make_receipt(
    tx: AsyncSession, signer: Signer, case: Case, approved: Approved, said: Said, now: int
) -> ConsentReceipt:
    """In the transaction of the approval, so that there is no approval without one."""
    receipt_id = new_id("rcp")
    # The words name the key that is lent. Without the salt, a client could guess them until the digest fits.
    shown = f"{said.text}\n\nSalt {new_id('salt')}\n"
    claims = {
        "iss": signer.issuer,
        "iat": to_seconds(now),
        "jti": receipt_id,
        "receipt_version": VERSION,
        "sub": signer.subject(case.user.id, case.client.id),
        "client_id": case.client.id,
        "client": {"name": said.app, "address": said.address, "verified": bool(case.client.verified)},
        "request": _asked(case.request),
        "decision": _decided(approved, now),
        "shown": {"language": said.language, "digest_alg": "sha-256", "digest": digest(shown)},
    }
    receipt = ConsentReceipt(
        id=receipt_id,
        request_id=case.request.id,
        grant_id=approved.grant.id,
        user_id=case.user.id,
        client_id=case.client.id,
        signed=signer.sign_receipt(claims),
        shown=shown,
        created_at=now,
    )
    await receipts.add(tx, receipt)
    return receipt


def _asked(request: GrantRequest) -> dict[str, JSONValue]:
    return {
        "id": request.id,
        "kind": request.kind,
        "received_at": to_seconds(request.created_at),
        "authorization_details": loads(request.asked.encode()),
        "digest_alg": "sha-256",
        "digest": digest(request.asked),
    }


def _decided(approved: Approved, now: int) -> dict[str, object]:
    return {
        "grant_id": approved.grant.id,
        "decided_at": to_seconds(now),
        "effect": approved.effect.value,
        "dpop_required": bool(approved.grant.dpop_required),
        "authorization_details": [element.to_wire() for element in approved.granted if element is not None],
    }
