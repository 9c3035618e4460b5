"""What the consent page says before anyone answers."""

from broker.store.tables import Credential
from tests.browser import Browser
from tests.consent.conftest import Ask


async def test_the_fresh_page_says_in_six_lines_what_an_approval_means(
    browser: Browser, ask: Ask, key: Credential
) -> None:
    page = await browser.go(f"/consent/{await ask()}")
    assert browser.status == 200, page.text
    assert page.h1 == "Acme Notes wants to use your OpenAI key"
    assert page.title.startswith(page.h1)
    for said in (
        "can spend up to $5.00 in total from Personal (OpenAI, sk-…9f2A)",
        "can use 2 models: gpt-4.1-mini and text-embedding-3-small",
        "can do chat and embeddings; it cannot use images, audio, files or fine-tuning",
        "can make up to 1,000 requests, at most 30 a minute",
        "stops on 28 Nov 2026, 13:05 UTC (in 7 days)",
        "never sees your key, and you can pause or revoke it at any time",
        "“Summarise your meeting notes once a day.”",
        "The reason given by Acme Notes. We have not checked it.",
        "acme.example",
        "Address verified",
        "Registered 3 Oct 2026. You have not used it before.",
        "After you choose, you go back to https://acme.example/callback.",
        "This request stays open until 13:15 UTC",
        "$0.40 in, $1.60 out per million tokens",
    ):
        assert said in page.text
