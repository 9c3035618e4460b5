"""Taking back what an app gave to its agents: one of them, or all."""

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.audit.record import record
from broker.core.counted import counted
from broker.ledger.agents import agents_of
from broker.store import tokens
from broker.web.context import Web
from broker.web.forms import read_form
from broker.web.lent import Lent, require_lent


class AgentMoves:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def revoke(self, request: Request) -> Response:
        """The agent that the form names, and those it made; all of the grant's where it names none."""
        web = self._web
        signed_in = await web.sessions.require(request)
        now, user, grant_id = web.clock(), signed_in.user, request.path_params["grant_id"]
        form = await read_form(request)
        web.sessions.check(request, signed_in, form, f"grant:{grant_id}")
        named = form.text("agent")

        async def work(tx: AsyncSession) -> tuple[Lent, int]:
            found = await require_lent(tx, web.registry, user, grant_id, now)
            agents = await agents_of(tx, grant_id, now)
            ended = [each for each in agents if each.jti == named or not named]
            for agent in ended:
                if await tokens.revoke_access(tx, agent.jti, now):
                    await record(tx, now, "agent.revoked", user.pseudonym, grant_id, jti=agent.jti)
            return found, len(ended)

        found, ended = await web.db.write(work)
        response = RedirectResponse(f"{found.path}#agents", 303)
        said = f"{counted(ended, 'agent')} revoked. {found.name} itself can go on." if ended else "Nothing was changed."
        web.sessions.flash(response, said, "ok" if ended else "info")
        return response
