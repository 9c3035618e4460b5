import pytest

from broker.core.credential import key_problem, masked, shown_prefix
from broker.core.secret import Secret

ANTHROPIC = "sk-ant-api03-aaaaaaaa"
OPENAI = "sk-proj-aaaaaaaaaaaa"
GOOGLE = "AIzaSyAaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("typed", "provider", "label"),
    [
        (OPENAI, "openai", "OpenAI"),
        (f"  {OPENAI}\n", "openai", "OpenAI"),
        (ANTHROPIC, "anthropic", "Anthropic"),
        (GOOGLE, "google", "Google"),
        ("a-key-without-a-prefix", "openai", "OpenAI"),
        (OPENAI, "deepseek", "Deepseek"),
        (ANTHROPIC, "sandbox", "Sandbox"),
    ],
)
def test_a_key_of_the_chosen_provider_has_no_problem(typed: str, provider: str, label: str) -> None:
    assert key_problem(typed, provider, label) == ""


@pytest.mark.parametrize(
    ("typed", "provider", "label", "says"),
    [
        ("", "openai", "OpenAI", "Enter an OpenAI API key"),
        (" \t", "google", "Google", "Enter a Google API key"),
        (
            ANTHROPIC,
            "openai",
            "OpenAI",
            "This looks like an Anthropic key (it starts with sk-ant-). Enter an OpenAI key",
        ),
        (
            OPENAI,
            "anthropic",
            "Anthropic",
            "This looks like an OpenAI key (it starts with sk-). Enter an Anthropic key",
        ),
        (GOOGLE, "openai", "OpenAI", "This looks like a Google key (it starts with AIza). Enter an OpenAI key"),
    ],
)
def test_a_key_of_another_provider_is_recognised(typed: str, provider: str, label: str, says: str) -> None:
    assert key_problem(typed, provider, label) == says


@pytest.mark.parametrize(
    "typed",
    ["sk-aaaa\r\nX-Evil: 1", "sk-aaaa\x00aaaa", "sk-aaaa aaaa", "sk-ключключ", "sk-aaaa\x7faa", "short", "a" * 4097],
    ids=["line break", "nul", "space", "letters beyond ascii", "delete", "short", "long"],
)
def test_what_no_header_can_carry_is_no_key(typed: str) -> None:
    assert key_problem(typed, "openai", "OpenAI").startswith("This is not an OpenAI key.")


def test_a_mask_shows_the_known_prefix_and_the_end() -> None:
    assert masked(shown_prefix(Secret(OPENAI)), "9f2A") == "sk-…9f2A"
    assert masked(shown_prefix(Secret(ANTHROPIC)), "77Qa") == "sk-ant-…77Qa"
    assert masked(shown_prefix(Secret("unknown-form")), "form") == "…form"
