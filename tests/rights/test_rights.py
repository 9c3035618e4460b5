"""No sequence of asking, narrowing, refreshing, giving to agents, replacing and revoking lets the proxy do what the stored grant forbids."""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from broker.core.clock import to_seconds
from broker.core.grant import GrantEvent
from broker.ledger.verify import verify
from broker.oauth.grant_types import TOKEN_EXCHANGE
from broker.oauth.token_exchange import ACCESS_TOKEN
from broker.store import grants
from tests.rights.approving import approve, dollars, narrowed_to, wish
from tests.rights.model import PRICE, Cap, Family, Grant, Lent, Token
from tests.rights.place import MODELS, PROVIDERS, Place, code_of, open_place

T = TypeVar("T")
DEPTH = 3
"""How many tokens may stand above the one that is made, as a server has it that nobody told otherwise."""
EXAMPLES, STEPS = int(os.environ.get("PROOF_SEEDS", "4")), 25

models = st.sets(st.sampled_from(MODELS), min_size=1)
budgets = st.sampled_from([100_000, 700_000, 5_000_000])
wishes = st.dictionaries(st.sampled_from(PROVIDERS), st.tuples(models, budgets), min_size=1)
narrower = st.none() | wishes
which = st.integers(0, 10**6)


class Rights(RuleBasedStateMachine):
    """One person, one service, and every way in which what the service may do changes."""

    migrated: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.grants: list[Grant] = []
        self.families: list[Family] = []
        self.tokens: list[Token] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        self.stack = AsyncExitStack()
        self.run(self._open())

    async def _open(self) -> None:
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        # The clock is turned by days while the workers live on.
        opened = open_place(folder, self.migrated, price=PRICE, call_lease_seconds=10**8)
        self.place: Place = await self.stack.enter_async_context(opened)
        self.person, self.client = await self.place.person(), await self.place.client(public=False)

    @property
    def now(self) -> int:
        return to_seconds(self.place.clock())

    @rule(
        action=st.sampled_from(["", "merge", "replace", "replace", "create"]), wanted=wishes, chosen=models, generous=st.booleans(),
        forges=st.booleans(), narrowed=narrower, n=which,
    )  # fmt: skip
    def ask(
        self, action: str, wanted: dict[str, Any], chosen: set[str], generous: bool, forges: bool, narrowed: Any, n: int
    ) -> None:
        """The service asks, the person answers on the page, and the service takes its tokens."""
        named = self.grants[n % len(self.grants)] if self.grants and action in ("merge", "replace") else None
        if action in ("merge", "replace") and named is None:
            return
        self.place.clock.turn(1)  # no two grants are equally new
        target = named or (self._newest() if action == "" else None)
        self.run(self._ask(action, target, wanted, chosen, narrowed, generous=generous, forges=forges))
        for provider in PROVIDERS:
            self.run(self._calls(self.tokens[-3:], provider, min(chosen), n % 2))

    def _newest(self) -> Grant | None:
        return next((grant for grant in reversed(self.grants) if grant.live(self.now)), None)

    async def _ask(
        self, action: str, target: Grant | None, wanted: dict[str, Any], chosen: set[str], narrowed: Any,
        *, generous: bool, forges: bool,
    ) -> None:  # fmt: skip
        asked = {"grant_management_action": action} if action else {}
        if action in ("merge", "replace") and target is not None:
            asked["grant_id"] = target.id
        browser = await self.place.browser(self.person)
        await self.place.ask(browser, self.client, *(wish(name, *terms) for name, terms in wanted.items()), **asked)
        if target is not None and not target.live(self.now):
            assert "error=invalid_grant_id" in browser.elsewhere
            return
        lent = {} if target is None else target.live(self.now)
        sums = [(lent[name].spent if generous and name in lent else 0) + most for name, (_, most) in wanted.items()]
        given = await approve(browser, sums, chosen, forges=forges)
        kept = {} if action == "replace" else lent
        for name, one in zip(wanted, given, strict=True):
            kept[name] = lent.get(name) or Lent(set(), 0, 0)
            kept[name].models, kept[name].budget, kept[name].ends = set(one.models), one.budget, one.ends
        await self._take(browser, target, kept, narrowed)

    async def _take(self, browser: Any, target: Grant | None, lent: dict[str, Lent], narrowed: Any) -> None:
        asked, caps = narrowed_to(lent, narrowed)
        tokens = await self.place.exchange(browser, self.client, **asked)
        grant = target or Grant(tokens["grant_id"])
        assert tokens["grant_id"] == grant.id
        if target is None:
            self.grants.append(grant)
        grant.lent = lent
        self.families.append(Family(grant, tokens["refresh_token"]))
        self._keep(tokens, self.families[-1], caps)

    def _keep(
        self, tokens: dict[str, Any], family: Family, caps: dict[str, Cap] | None, parent: Token | None = None
    ) -> None:
        token = Token(tokens["access_token"], family, self.now + tokens["expires_in"], caps, parent=parent)
        self.tokens.append(token)

    @precondition(lambda self: self.tokens)
    @rule(narrowed=narrower, n=which, helpers=st.integers(1, 2))
    def give_to_an_agent(self, narrowed: Any, n: int, helpers: int) -> None:
        """The agent gives to helpers of its own, and they to theirs."""
        parent = self.tokens[-1 - n % min(len(self.tokens), 6)]
        for _ in range(helpers):
            if not self._made(parent, narrowed):
                return
            parent = self.tokens[-1]
        self.run(self._calls(self.tokens[-3:], PROVIDERS[n % 2], MODELS[n % 3], n % 2))

    def _made(self, parent: Token, narrowed: Any) -> bool:
        """Whether a token was made out of it, as it is if it is worth anything and not too far from the first."""
        usable = {name: one for name, one in parent.usable(self.now).items() if parent.models(name, one)}
        view = {name: Lent(parent.models(name, one), parent.most(name, one), one.ends) for name, one in usable.items()}
        asked, caps = narrowed_to(view, narrowed)
        answer = self._exchanged(parent, **asked)
        if not usable or len(parent.line) > DEPTH:
            assert answer.json()["error"] in ("invalid_request", "invalid_grant")
            return False
        assert answer.status_code == 200, answer.text
        whole = {name: Cap(one, set(one.models), one.budget) for name, one in view.items()}
        caps = {name: Cap(usable[name], cap.models, cap.budget) for name, cap in (caps or whole).items()}
        self._keep(answer.json(), parent.family, caps, parent)
        assert self.tokens[-1].ends <= parent.ends
        return True

    @precondition(lambda self: self.tokens)
    @rule(model=st.sampled_from(MODELS), n=which)
    def give_an_agent_more(self, model: str, n: int) -> None:
        parent = self.tokens[n % len(self.tokens)]
        for name in PROVIDERS:
            more: dict[str, Any] = {"type": "ai_model_access", "provider": name, "models": [model]}
            lent = parent.usable(self.now).get(name)
            if lent is not None and model in parent.models(name, lent):
                more["budget"] = {"amount": dollars(parent.most(name, lent) + 10_000), "currency": "USD"}
            assert self._exchanged(parent, authorization_details=json.dumps([more])).status_code == 400

    def _exchanged(self, parent: Token, **asked: str) -> httpx.Response:
        fields = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": parent.text,
            "subject_token_type": ACCESS_TOKEN,
            **asked,
        }
        return self.run(self.place.post("/oauth/token", self.client, **fields))

    @precondition(lambda self: self.families)
    @rule(narrowed=narrower, n=which)
    def refresh(self, narrowed: Any, n: int) -> None:
        family = self.families[n % len(self.families)]
        asked, caps = narrowed_to(family.grant.live(self.now), narrowed)
        answer = self._refreshed(family, **asked)
        if family.is_live(self.now):
            assert answer.status_code == 200, answer.text
            self._keep(answer.json(), family, caps)
        else:
            assert answer.json()["error"] == "invalid_grant"

    @precondition(lambda self: any(family.is_live(self.now) for family in self.families))
    @rule(model=st.sampled_from(MODELS), n=which)
    def refresh_with_more(self, model: str, n: int) -> None:
        live = [family for family in self.families if family.is_live(self.now)]
        family = live[n % len(live)]
        for name in PROVIDERS:
            lent = family.grant.live(self.now).get(name)
            if lent is None or model not in lent.models:
                more = {"type": "ai_model_access", "provider": name, "models": [model]}
                answer = self._refreshed(family, authorization_details=json.dumps([more]))
                assert answer.json()["error"] == "invalid_authorization_details"

    def _refreshed(self, family: Family, **asked: str) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": family.refresh_token, **asked}
        return self.run(self.place.post("/oauth/token", self.client, **fields))

    @precondition(lambda self: self.tokens)
    @rule(n=which, whole=st.booleans())
    def give_a_token_back(self, n: int, whole: bool) -> None:
        above = [each.parent for each in self.tokens if each.parent is not None]
        some = above if above and n % 2 else self.tokens
        token = some[n // 2 % len(some)]
        given = token.family.refresh_token if whole else token.text
        assert self.run(self.place.post("/oauth/revoke", self.client, token=given)).status_code == 200
        token.family.is_revoked |= whole
        # A token past its end is not looked for: it is worth nothing either way.
        token.is_revoked = True
        below = [each for each in self.tokens if any(above is token for above in each.line)]
        self.run(self._calls(below[-3:], PROVIDERS[n % 2], MODELS[n % 3], n % 2))

    @precondition(lambda self: len(self.grants) > 1)
    @rule(n=which)
    def give_a_grant_back(self, n: int) -> None:
        grant = self.grants[n % len(self.grants)]
        basic = b64encode(f"{self.client.id}:{self.client.secret}".encode()).decode()
        address = f"/oauth/grants/{grant.id}"
        sent = self.place.https[0].delete(address, headers={"authorization": f"Basic {basic}"})
        assert self.run(sent).status_code == 204
        grant.is_revoked = True

    @precondition(lambda self: self.grants)
    @rule(event=st.sampled_from([GrantEvent.PAUSE, GrantEvent.RESUME]), n=which)
    def pause_or_resume(self, event: GrantEvent, n: int) -> None:
        grant = self.grants[n % len(self.grants)]
        if not grant.live(self.now):
            return
        if self.run(self._move(grant, event)):
            grant.is_paused = event is GrantEvent.PAUSE

    async def _move(self, grant: Grant, event: GrantEvent) -> bool:
        now = self.place.clock()
        return await self.place.db.write(lambda tx: grants.move(tx, grant.id, event, now))

    @rule(seconds=st.sampled_from([60, 2_000, 50_000]))
    def turn_the_clock(self, seconds: int) -> None:
        self.place.clock.turn(seconds)

    @precondition(lambda self: self.tokens)
    @rule(provider=st.sampled_from(PROVIDERS), model=st.sampled_from(MODELS), worker=st.integers(0, 1))
    def call_with_every_token(self, provider: str, model: str, worker: int) -> None:
        self.run(self._calls(self.tokens[-6:], provider, model, worker))

    async def _calls(self, tokens: list[Token], provider: str, model: str, worker: int) -> None:
        for token in tokens:
            expected = token.verdicts(provider, model, self.now)
            found = await self._call(token, provider, model, worker)
            assert found in expected, (found, expected)
            if found == "":
                token.spend(provider)

    async def _call(self, token: Token, provider: str, model: str, worker: int) -> str:
        answer = await self.place.call(token.text, model, provider=provider, worker=worker)
        while answer.status_code == 200 and await self.place.runs():  # noqa: ASYNC110 - the books tell nobody
            await asyncio.sleep(0)  # the answer goes out before its settlement
        return code_of(answer)

    @precondition(lambda self: self.tokens)
    @rule(n=which)
    def look_at_a_token(self, n: int) -> None:
        """What a token says of itself is what the proxy lets it do."""
        token = self.tokens[n % len(self.tokens)]
        told = self.run(self.place.post("/oauth/introspect", self.client, token=token.text)).json()
        usable = token.usable(self.now)
        if not usable:
            assert told == {"active": False}
            return
        found = {each["provider"]: set(each["models"]) for each in told["authorization_details"]}
        assert found == {name: token.models(name, lent) for name, lent in usable.items() if token.models(name, lent)}
        left = {each["provider"]: each["budget"]["remaining"] for each in told["usage"]}
        assert left == {name: max(0, token.left(name, usable[name])) for name in found}

    def teardown(self) -> None:
        if hasattr(self, "place"):
            assert str(self.run(verify(self.place.db))).startswith("OK")
            self.run(self.stack.aclose())
        self.runner.close()


def test_the_proxy_never_does_what_the_stored_grant_forbids(migrated: Path) -> None:
    class OnFile(Rights):
        pass

    OnFile.migrated = migrated
    # A failure is told as it was found: to look for a shorter one takes longer than the whole suite.
    steps = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, phases=[Phase.generate])
    run_state_machine_as_test(OnFile, settings=steps)
