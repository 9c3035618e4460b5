"""The smaller endpoints of OpenAI's dialect as requests: completions, embeddings, moderations."""

from broker.core.strict_json import JSONValue
from broker.providers.body import count_of, flag_of, not_bounded, rendered, shown, text_of
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.openai_request import REQUEST_TOKENS, sent_options, wants_usage
from broker.providers.registry import Provider

USUAL_OUTPUT = 16
"""What /v1/completions gives where no maximum is set."""

_COMPLETIONS = frozenset(
    [
        "model", "prompt", "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n",
        "presence_penalty", "seed", "stop", "stream", "stream_options", "suffix", "temperature", "top_p", "user",
    ]
)  # fmt: skip
_EMBEDDINGS = frozenset(["model", "input", "dimensions", "encoding_format", "user"])
_MODERATIONS = frozenset(["model", "input"])
_MOST = 2**53
_TEXTS = 4_096
"""More texts than any provider takes in one request."""


def read_completion(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/completions: each prompt of an array is answered as often as the larger of n and best_of says."""
    prompts = _texts(body, "prompt")
    choices = prompts * max(count_of(body, "n", 128) or 1, count_of(body, "best_of", 128) or 1)
    streamed = flag_of(body, "stream")
    sent = rendered(
        {name: value for name, value in body.items() if name not in ("max_tokens", "stream_options")}
        | sent_options(body, streamed, provider)
    )
    own = count_of(body, "max_tokens", _MOST, least=0)
    return Reading(
        model=text_of(body, "model", 200),
        action="completions",
        extra_actions=frozenset(),
        streamed=streamed,
        wants_usage=wants_usage(body, streamed=streamed),
        own_output=USUAL_OUTPUT if own is None else max(own, 1),
        choices=choices,
        covers_reasoning=True,
        input_bound=max(size, len(sent) + 40) * provider.kind.tokens_a_byte + REQUEST_TOKENS * prompts,
        unbounded=_unknown(body, _COMPLETIONS, provider),
        render=lambda output_max: b'%b,"max_tokens":%d}' % (sent[:-1], 0 if own == 0 else output_max),
        target=path,
    )


def read_embedding(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/embeddings: nothing but what goes in is paid for."""
    texts = _texts(body, "input")
    sent = rendered(body)
    return Reading(
        model=text_of(body, "model", 200),
        action="embeddings",
        extra_actions=frozenset(),
        streamed=False,
        wants_usage=False,
        own_output=0,
        choices=1,
        covers_reasoning=True,
        input_bound=max(size, len(sent)) * provider.kind.tokens_a_byte + REQUEST_TOKENS * texts,
        unbounded=_unknown(body, _EMBEDDINGS, provider),
        render=lambda _: sent,
        target=path,
    )


def read_moderation(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/moderations, which OpenAI asks no money for; another server's moderation needs a price."""
    asked = {"model": "omni-moderation-latest"} | body
    _texts(asked, "input")
    sent = rendered(asked)
    return Reading(
        model=text_of(asked, "model", 200),
        action="moderations",
        extra_actions=frozenset(),
        streamed=False,
        wants_usage=False,
        own_output=0,
        choices=1,
        covers_reasoning=True,
        input_bound=max(size, len(sent)) * provider.kind.tokens_a_byte + REQUEST_TOKENS,
        unbounded=_unknown(asked, _MODERATIONS, provider),
        render=lambda _: sent,
        target=path,
        is_free=provider.name == "openai",
    )


def _texts(body: Body, name: str) -> int:
    """How many texts there are: one, an array of them, tokens, or arrays of tokens."""
    value = body.get(name)
    if isinstance(value, str):
        return 1
    if not isinstance(value, list) or not value:
        raise refuse_request(f"{name} must be a text, or an array of texts or of tokens.")
    if all(_is_token(each) for each in value):
        return 1
    if not all(isinstance(each, str) or _is_tokens(each) for each in value) or len(value) > _TEXTS:
        raise refuse_request(f"{name} must be a text, or an array of texts or of tokens.")
    return len(value)


def _is_tokens(value: JSONValue) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_token(each) for each in value)


def _is_token(value: JSONValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unknown(body: Body, known: frozenset[str], provider: Provider) -> str:
    return not_bounded(shown(name) for name in body.keys() - known - provider.allow_fields)
