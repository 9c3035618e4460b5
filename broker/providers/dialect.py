"""What differs between the APIs of providers: where model, bounds and usage are, and how an error looks."""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from broker.core.errors import CallRefused
from broker.core.extras import NO_EXTRAS, Extras
from broker.core.strict_json import JSONValue
from broker.core.usage import Usage
from broker.prices.packaged import Kind
from broker.providers.client import Headers
from broker.providers.form import Form, FormRule
from broker.providers.registry import Provider

Body = dict[str, JSONValue]

_MODEL = re.compile(r"[!-~]{1,200}", re.ASCII)


class Name(NamedTuple):
    """The id of something that is kept at the provider."""

    kind: str
    id: str


class Kept(NamedTuple):
    """What a call left at the provider, as its answer tells of it."""

    name: Name
    tokens: int | None = None
    """Of a response: the most input that it is for the one that follows it; None where that is not known."""
    ends_in: int | None = None
    """Seconds after which the provider deletes it; None where it does not by itself."""
    facts: str = "{}"
    """JSON: what was learnt of it when it was made."""
    work: int = 0
    """How many requests go on at the provider after this answer; the hold stays until they have ended."""


class Listed(NamedTuple):
    """What a list at the provider is of, and how much of it the app wants; of it only the grant's own is shown."""

    kind: str
    most: int
    under: str = "data"
    """The member that has what is listed."""
    by: str = "id"
    """The member of each that has its id, perhaps after a folder."""


class GoesInto(NamedTuple):
    """What a call adds to a conversation that its provider keeps, by the side of what it gives."""

    added: int
    """The most tokens of its own input."""
    comes_to: Callable[[JSONValue, Usage | None], int | None] | None = None
    """What the conversation is by an answer and its usage, where these say it."""
    digest: str = ""
    facts: str = ""
    before: int | None = None
    """What it is without this call, and what was written of it: looked up when the call came."""


class Reading(NamedTuple):
    """A request as its dialect understands it: what it needs, and the most that it can use."""

    model: str
    action: str
    extra_actions: frozenset[str]
    streamed: bool
    wants_usage: bool
    """Whether the app itself asked for the usage event of a stream."""
    own_output: int | None
    """The app's own maximum for each choice; 0 of a call that gives no tokens."""
    choices: int
    covers_reasoning: bool
    input_bound: int
    unbounded: str
    render: Callable[[int], bytes]
    """The body to send, with the output maximum of each choice put in."""
    target: str
    """The path to send it to, with the query that it needs."""
    is_free: bool = False
    """Whether the provider asks no money for it, whatever the model."""
    writes_long: bool = False
    """Whether some of the input may be kept for an hour."""
    most: Extras = NO_EXTRAS
    """The most that it can use besides plain tokens; classes of tokens are part of `input_bound`."""
    units: bool = False
    """Whether it is paid for by what is no token."""
    fixed_output: int | None = None
    """The most that it gives, where nothing that is sent could make that less."""
    at_once: int | None = None
    """The most input of any one turn, where a call has many: steps of a price above it are out of reach."""
    at_first: int = 0
    """Of such a call the input of its first turn, without what is kept at the provider."""
    tier: str = ""
    """A service tier with a price of its own; the standard one if empty."""
    answered_by: "Endpoint | None" = None
    """What reads its answer, where that takes more than its path says."""
    content_type: bytes = b"application/json"
    """Of the body that `render` gives."""
    gives: frozenset[bytes] = frozenset()
    """Media types that a whole answer may have besides JSON; it is then passed on as it comes."""

    @property
    def priced_by(self) -> Kind:
        """What its price must say."""
        return "units" if self.units else "input" if self.own_output == 0 else "output"

    method: str = "POST"
    names: tuple[Name, ...] = ()
    """What it names of what is kept at the provider; all of it must be of the grant's own making."""
    is_whole: bool = False
    """Whether it is held at all that its model reads at once, whatever is in the files that it names."""
    follows: bool = False
    """Whether the context of the response that it names is input of this call, too."""
    recalls: bool = False
    """Whether the sound of the answers that it names is input of this call, too."""
    goes_into: GoesInto | None = None
    """Whether all of the conversation that it names is input of this call, which is then added to it."""
    kept: Callable[[JSONValue, Usage | None], tuple[Kept, ...]] | None = None
    """What an answer and its usage say is kept at the provider; None of a call that leaves nothing there."""
    wish: str = ""
    """The action without which nothing is kept, and with which it is sent as `render_kept` says."""
    render_kept: Callable[[int], bytes] | None = None
    deletes: bool = False
    """Whether what it names is gone once it has succeeded."""
    lists: Listed | None = None
    ended: Callable[[JSONValue], bool] | None = None
    """Whether an answer says that the work which it names has ended."""
    shown: Callable[[JSONValue, str], JSONValue] | None = None
    """An answer with its addresses led through the broker, whose own for this provider is given."""
    informed: "Callable[[JSONValue], Reading] | None" = None
    """The request once the facts are told that are known of what it names; raises CallRefused."""
    is_batch: bool = False
    """Whether it is many requests that are answered later, at the price of those."""


@dataclass(slots=True)
class Seen:
    """What a dialect has read of a stream on its way past."""

    usage: Usage | None = None
    is_absurd: bool = False
    is_complete: bool = False
    failed: bool = False
    """The provider itself ended the stream with an error event."""
    made: JSONValue = None
    """What the stream is the making of, as it was told of it last."""
    model: str = ""
    """The model that answers, where the provider says so."""


class Meter(Protocol):
    """Reads a stream's usage as its bytes pass."""

    seen: Seen

    def concerns(self, events: bytes) -> bool:
        """Whether something in these events may have to be read or kept back; by a look at their bytes."""

    def read(self, event: bytes) -> bool:
        """Notes what an event says; False when the app did not ask for this event and must not get it."""

    def ending(self, error: bytes) -> bytes:
        """The event that ends a broken stream, with an error of its dialect."""


class Endpoint(Protocol):
    """One kind of call: how a request is read, and where its answer says what was used."""

    def read(self, body: Body, size: int, provider: Provider, path: str) -> Reading:
        """Raises CallRefused; `size` is the bytes of the app's body, `path` the provider's own."""

    def usage(self, answer: JSONValue) -> tuple[Usage | None, bool]:
        """The reported usage of a whole answer, and whether it was there but absurd."""

    def meter(self, *, wants_usage: bool) -> Meter: ...


@runtime_checkable
class FormEndpoint(Endpoint, Protocol):
    """An endpoint that takes its body in parts, whether or not it takes JSON, too."""

    form: FormRule

    def read_form(self, form: Form, size: int, provider: Provider, path: str) -> Reading:
        """As `read`, of a body in parts."""


Steps = Generator[None, None, Reading]
"""The reading of a request that takes long: where it yields, others may have their turn."""


@runtime_checkable
class SteppedEndpoint(Endpoint, Protocol):
    """One whose requests may be so many in one that they are read in steps."""

    def steps(self, body: Body, size: int, provider: Provider, path: str) -> Steps:
        """As `read`."""


@runtime_checkable
class SteppedForm(FormEndpoint, Protocol):
    """One whose files may be so large that they are read in steps."""

    def form_steps(self, form: Form, size: int, provider: Provider, path: str) -> Steps:
        """As `read_form`."""


def at_once(steps: Steps) -> Reading:
    """All steps, without a turn for anybody else."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            read: Reading = done.value
            return read


class Dialect(Protocol):
    """Small functions and no access to the books."""

    name: str

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        """What is called by this method at this path of the provider's own; None is not forwarded."""

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that are forwarded at this path; none where there is nothing at it."""

    def paths(self) -> tuple[str, ...]:
        """All that `methods` knows, with templates such as {model} where there are many."""

    def is_listing(self, path: str) -> bool:
        """Whether a GET of this path asks for the list of models."""

    def model(self, model: str, provider: Provider) -> Body:
        """What is said of one model, by itself and in the list."""

    def listing(self, models: list[str], provider: Provider) -> bytes:
        """The list of these models."""

    def headers(self, headers: Headers) -> Headers:
        """Of the app's headers those that cross, besides the content's own."""

    def query(self, query: bytes) -> str:
        """Of the query what crosses, with its question mark; it is read at the end of the path."""

    def is_error(self, answer: JSONValue) -> bool:
        """Whether a body is a complete error in this dialect's own shape."""

    def error(self, refusal: CallRefused, status: int) -> bytes:
        """A refusal of ours as a body of this dialect."""


def model_of(answer: JSONValue) -> str:
    """Which model an answer, or the event of it that has the usage, says that it is from; empty where it says nothing."""
    told = (answer.get("model") or answer.get("modelVersion")) if isinstance(answer, dict) else None
    return told.removeprefix("models/") if isinstance(told, str) and _MODEL.fullmatch(told) else ""


def counted(value: JSONValue) -> int:
    """A token count as it was reported; -1, which is absurd, for anything that is no integer."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def refuse_request(why: str) -> CallRefused:
    return CallRefused("invalid_request", why)
