"""What is published of providers' APIs, and of the servers that many run themselves; of any other the least is assumed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.core.strict_json import JSONValue

NORMALISING_FACTOR = 11
"""Tokens a byte where the tokenizer is not known: NFKC turns one three-byte character into up to 18 characters."""

BROUGHT = "openai-compatible"
"""The name of people's own servers, where the operator lets them bring some: each key has an address of its own."""

_SAMPLING = frozenset(["top_k", "min_p", "repetition_penalty", "repeat_penalty", "typical_p"])


@dataclass(frozen=True)
class Kind:
    """How a server differs from others of its dialect; what is left out is what costs the least to be wrong about."""

    label: str = ""
    base_url: str = ""
    """What stands before /v1; empty where everybody has an address of their own."""
    dialect: str = "openai"
    maximum: str = "max_tokens"
    """The name of the output maximum of a chat."""
    takes_stream_options: bool = True
    """Whether a stream is asked for its usage; where not, it comes unasked."""
    covers_reasoning: bool = False
    """Whether that maximum also bounds what a model thinks."""
    tokens_a_byte: int = NORMALISING_FACTOR
    tier: str = ""
    """The standard price tier by its name, where the provider would choose one by itself."""
    tells_tier: tuple[JSONValue, ...] = ("default", None)
    """Values of `service_tier` at the standard price."""
    keys: tuple[str, ...] = ()
    """Variables of the environment that hold its key besides the one of its name."""
    fields: frozenset[str] = frozenset()
    """Fields of its own that cost nothing."""
    field_actions: Mapping[str, str] = field(default_factory=dict)
    """Fields of its own that ask for more, and the action that they need."""
    is_built_in: bool = False


def _local(label: str, base_url: str) -> Kind:
    """A server of one's own: all that it gives, thoughts and all, is bounded by the maximum."""
    return Kind(label, base_url, covers_reasoning=True, fields=_SAMPLING)


UNKNOWN = Kind()

KINDS: dict[str, Kind] = {
    "openai": Kind(
        "OpenAI", "https://api.openai.com", maximum="max_completion_tokens", covers_reasoning=True, tokens_a_byte=1,
        tier="default", is_built_in=True,
    ),
    "anthropic": Kind("Anthropic", "https://api.anthropic.com", "anthropic", is_built_in=True),
    "google": Kind("Google", "https://generativelanguage.googleapis.com", "google", is_built_in=True),
    "mistral": Kind(
        "Mistral", "https://api.mistral.ai", "mistral", takes_stream_options=False, covers_reasoning=True,
        tokens_a_byte=1, tier="standard_only", tells_tier=("standard_only", None), is_built_in=True,
    ),
    "cohere": Kind("Cohere", "https://api.cohere.com", "cohere", keys=("CO_API_KEY",), is_built_in=True),
    "azure": Kind("Azure OpenAI", "", "azure", maximum="max_completion_tokens", keys=("AZURE_OPENAI_API_KEY",)),
    "cerebras": Kind("Cerebras", "https://api.cerebras.ai", maximum="max_completion_tokens"),
    "deepseek": Kind(
        "DeepSeek", "https://api.deepseek.com", covers_reasoning=True, tokens_a_byte=1, fields=frozenset(["thinking"])
    ),
    "fireworks": Kind("Fireworks AI", "https://api.fireworks.ai/inference", fields=_SAMPLING),
    "groq": Kind(
        "Groq", "https://api.groq.com/openai", maximum="max_completion_tokens", covers_reasoning=True,
        tells_tier=("on_demand", None), fields=frozenset(["reasoning_format", "include_reasoning"]),
        field_actions={"search_settings": "web_search", "compound_custom": "web_search"},
    ),
    "openrouter": Kind(
        "OpenRouter", "https://openrouter.ai/api", fields=_SAMPLING | {"reasoning", "include_reasoning"},
        field_actions={"plugins": "web_search"},
    ),
    "together": Kind("Together AI", "https://api.together.xyz", fields=_SAMPLING),
    "x-ai": Kind(
        "xAI", "https://api.x.ai", maximum="max_completion_tokens", keys=("XAI_API_KEY",),
        field_actions={"search_parameters": "web_search"},
    ),
    BROUGHT: Kind("OpenAI-compatible server"),
    "llama-cpp": _local("llama.cpp", "http://127.0.0.1:8080"),
    "ollama": _local("Ollama", "http://127.0.0.1:11434"),
    "vllm": _local("vLLM", "http://127.0.0.1:8000"),
    "sandbox": Kind("Sandbox", maximum="max_completion_tokens", covers_reasoning=True, tokens_a_byte=1),
}  # fmt: skip
"""By the names under which the price list knows them; from each provider's own documentation, November 2026.

Byte-level tokenizers: OpenAI's, Mistral's and DeepSeek's, as each has published them. Groq, DeepSeek and Mistral document
that their maximum covers what a model thinks; xAI reports it beside the completion, and the others say nothing.
"""

BUILT_IN = tuple(name for name, kind in KINDS.items() if kind.is_built_in)


def kind_of(name: str) -> Kind:
    return KINDS.get(name, UNKNOWN)
