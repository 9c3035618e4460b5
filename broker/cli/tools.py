"""The programs that can be connected, and the settings with which each finds its way here: a row a program."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

OPENAI, ANTHROPIC, GOOGLE, MISTRAL, COHERE = "openai", "anthropic", "google", "mistral", "cohere"
MODELS = {
    OPENAI: ("gpt-*",),
    ANTHROPIC: ("claude-*",),
    GOOGLE: ("gemini-*",),
    MISTRAL: ("mistral-*",),
    COHERE: ("command-*",),
}
"""What is asked for unless models are named, by dialect."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the calls go, and the command that prints a token for them."""

    base: str
    """`{issuer}/proxy/{provider}`."""
    token: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def command(self) -> str:
        return shlex.join(self.token)


@dataclass(frozen=True, slots=True)
class Exports:
    """Variables of the environment: one for the address, which goes on behind the base with `path`, and one for the key."""

    address: str
    path: str
    key: str

    def text(self, place: Place) -> str:
        address = f"export {self.address}={place.base}{self.path}\n" if self.address else ""
        return f'{address}export {self.key}="$({place.command})"\n'


@dataclass(frozen=True, slots=True)
class Line:
    """A command to start from."""

    line: Callable[[Place], str]

    def text(self, place: Place) -> str:
        return f"{self.line(place)}\n"


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A file of the program's own in the directory that `home` names, else below ~: members among others."""

    home: str
    otherwise: str
    file: str
    members: Callable[[Place], dict[str, Any]]
    start: Callable[[Place], str] | None = None
    """How to start it, where it can run no command to get a token."""

    def text(self, place: Place) -> str:
        return json.dumps(self.members(place), indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class TomlFile:
    """The same in TOML: `top` stands before every table, `tables` anywhere behind it."""

    home: str
    otherwise: str
    file: str
    top: str
    tables: Callable[[Place], str]

    def text(self, place: Place) -> str:
        return f"{self.top}\n\n{self.tables(place)}"


Settings = Exports | Line | JsonFile | TomlFile


@dataclass(frozen=True, slots=True)
class Tool:
    title: str
    speaks: Mapping[str, Settings]
    """By dialect; the first one is meant where no provider is named."""
    models: tuple[str, ...] = ()
    """What is asked for in the place of MODELS, by a program that has to be told each by its id."""
    provider: str = ""
    """The one it is made for, where that has another name than what it speaks."""


def dialect_of(tool: Tool, provider: str) -> str:
    """A provider that has another name than a dialect was added by the operator, who knows what it speaks."""
    return provider if provider in MODELS else next(iter(tool.speaks))


def _codex(place: Place) -> str:
    words = ", ".join(json.dumps(word) for word in place.token[1:])
    return (
        "[model_providers.broker]\n"
        'name = "Broker"\n'
        f'base_url = "{place.base}/v1"\n'
        'wire_api = "responses"\n'
        "\n"
        "[model_providers.broker.auth]\n"
        f"command = {json.dumps(place.token[0])}\n"
        f"args = [{words}]\n"
    )


def _claude_code(place: Place) -> dict[str, Any]:
    # Among what it tries out is context_management, which has no bound here.
    return {
        "apiKeyHelper": place.command,
        "env": {"ANTHROPIC_BASE_URL": place.base, "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1"},
    }


def _opencode(place: Place) -> dict[str, Any]:
    return {
        "provider": {
            "broker": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Broker",
                "options": {"baseURL": f"{place.base}/v1", "apiKey": "{env:BROKER_TOKEN}"},
                "models": {model: {"name": model} for model in place.models},
            }
        }
    }


def _start_opencode(place: Place) -> str:
    return f'BROKER_TOKEN="$({place.command})" opencode'


def _gemini_cli(place: Place) -> dict[str, Any]:
    # With another address in the environment it would take the way of a gateway, which it refuses by itself.
    return {"security": {"auth": {"selectedType": "gemini-api-key"}}}


def _start_gemini_cli(place: Place) -> str:
    return f'GOOGLE_GEMINI_BASE_URL={place.base} GEMINI_API_KEY="$({place.command})" gemini'


def _curl(place: Place) -> str:
    # The token goes through a pipe: the words of a command can be read by every process of the machine.
    header = f"""printf 'header = "Authorization: Bearer %s"\\n' "$({place.command})\""""
    return f"{header} | curl --config - {place.base}/v1/models"


_OPENAI = Exports("OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY")
_ANTHROPIC = Exports("ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY")
_GOOGLE = Exports("GOOGLE_GEMINI_BASE_URL", "", "GOOGLE_API_KEY")
_MISTRAL = Exports("MISTRAL_SERVER_URL", "", "MISTRAL_API_KEY")
_COHERE = Exports("CO_API_URL", "", "CO_API_KEY")

TOOLS: Mapping[str, Tool] = {
    "openai": Tool("OpenAI SDK", {OPENAI: _OPENAI}),
    "anthropic": Tool("Anthropic SDK", {ANTHROPIC: _ANTHROPIC}),
    "google-genai": Tool("Google Gen AI SDK", {GOOGLE: _GOOGLE}),
    "mistralai": Tool("Mistral SDK", {MISTRAL: _MISTRAL}),
    "cohere": Tool("Cohere SDK", {COHERE: _COHERE}),
    "groq": Tool("Groq SDK", {OPENAI: Exports("GROQ_BASE_URL", "", "GROQ_API_KEY")}, ("llama-*",), "groq"),
    "langchain": Tool("LangChain", {OPENAI: _OPENAI, ANTHROPIC: _ANTHROPIC, GOOGLE: _GOOGLE}),
    "litellm": Tool(
        "LiteLLM",
        {
            OPENAI: _OPENAI,
            ANTHROPIC: _ANTHROPIC,
            GOOGLE: Exports("GEMINI_API_BASE", "/v1beta", "GEMINI_API_KEY"),
        },
    ),
    "ai-sdk": Tool(
        "AI SDK",
        {
            OPENAI: _OPENAI,
            ANTHROPIC: Exports("ANTHROPIC_BASE_URL", "/v1", "ANTHROPIC_API_KEY"),
            GOOGLE: Exports("GOOGLE_GENERATIVE_AI_BASE_URL", "/v1beta", "GOOGLE_GENERATIVE_AI_API_KEY"),
        },
    ),
    "codex": Tool(
        "Codex",
        {
            OPENAI: TomlFile(
                "CODEX_HOME", ".codex", "config.toml", 'model_provider = "broker"\nweb_search = "disabled"', _codex
            )
        },
    ),
    "claude-code": Tool(
        "Claude Code",
        {ANTHROPIC: JsonFile("CLAUDE_CONFIG_DIR", ".claude", "settings.json", _claude_code)},
    ),
    "gemini-cli": Tool(
        "Gemini CLI", {GOOGLE: JsonFile("", ".gemini", "settings.json", _gemini_cli, _start_gemini_cli)}
    ),
    "opencode": Tool(
        "opencode",
        {OPENAI: JsonFile("XDG_CONFIG_HOME", ".config", "opencode/opencode.json", _opencode, _start_opencode)},
        models=("gpt-4.1", "gpt-4.1-mini"),
    ),
    "curl": Tool("curl", {OPENAI: Line(_curl), ANTHROPIC: Line(_curl), GOOGLE: Line(_curl)}),
}
