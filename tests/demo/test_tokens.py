"""The sandbox's tokenizer never counts more tokens than bytes."""

from hypothesis import given
from hypothesis import strategies as st

from broker.demo.tokens import count_prompt, split_tokens


def test_a_token_is_a_run_of_four_bytes_within_a_word() -> None:
    assert split_tokens("Hello  wörld, hi") == ["Hell", "o", "  wör", "ld,", " hi"]


def test_a_prompt_counts_three_tokens_a_message_and_three_for_the_reply() -> None:
    assert count_prompt(["Hello", "hi"]) == (2 + 3) + (1 + 3) + 3


@given(st.text())
def test_a_text_never_has_more_tokens_than_bytes(text: str) -> None:
    assert len(split_tokens(text)) <= len(text.encode("utf-8", "surrogatepass"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_tokens_of_a_text_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text.rstrip()
