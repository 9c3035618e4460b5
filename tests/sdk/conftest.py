"""One broker for the providers' own SDKs, as far as nothing is kept at a provider: what is shared is the server alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.fake_anthropic import answer_messages
from tests.fake_cohere import answer_cohere
from tests.fake_google import answer_generate
from tests.fake_mistral import answer_mistral
from tests.fake_openai import answer_openai
from tests.fake_provider import FakeProvider, provider_in_a_thread
from tests.serve.installation import Installation

ANSWERS = {
    "openai": answer_openai,
    "anthropic": answer_messages,
    "google": answer_generate,
    "mistral": answer_mistral,
    "cohere": answer_cohere,
}


@dataclass(frozen=True, slots=True)
class Served:
    """Each provider is asked by the tests of one file alone."""

    installation: Installation
    address: str
    providers: dict[str, FakeProvider]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ExitStack() as stack:
        providers = {name: stack.enter_context(provider_in_a_thread(answer)) for name, answer in ANSWERS.items()}
        urls = {f"BROKER_PROVIDER_{name.upper()}_BASE_URL": provider.url for name, provider in providers.items()}
        urls["BROKER_PROVIDER_OPENAI_BASE_URL"] += "/v1"
        installation = Installation(tmp_path_factory.mktemp("sdks"), urls)
        installation.furnish()
        for name in ANSWERS.keys() - {"openai"}:
            installation.add_key(name)
        server = stack.enter_context(installation.serving())
        yield Served(installation, server.address, providers)
