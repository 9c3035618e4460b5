"""A person's copy of a consent receipt, and of the words that it was given for."""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from broker.core.errors import PageError
from broker.store import receipts
from broker.store.grant_tables import ConsentReceipt
from broker.web.context import Web

_HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


class ReceiptPages:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def signed(self, request: Request) -> Response:
        receipt = await self._require(request)
        return _file(receipt.signed, "application/jwt", f"{receipt.id}.jwt")

    async def shown(self, request: Request) -> Response:
        receipt = await self._require(request)
        return _file(receipt.shown, "text/plain", f"{receipt.id}.txt")

    async def _require(self, request: Request) -> ConsentReceipt:
        """Raises PageError 404, also for another person's."""
        signed_in = await self._web.sessions.require(request)
        grant_id, receipt_id = request.path_params["grant_id"], request.path_params["receipt_id"]

        async def work(tx: AsyncSession) -> ConsentReceipt | None:
            return await receipts.load(tx, grant_id, receipt_id)

        found = await self._web.db.read(work)
        if found is None or found.user_id != signed_in.user.id:
            raise PageError(404, "Page not found", "There is no such receipt here, or it is not yours to see.")
        return found


def _file(text: str, media_type: str, name: str) -> Response:
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=media_type, headers=headers)
