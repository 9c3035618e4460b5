"""The sandbox's tokenizer: whole characters of one word, four bytes of UTF-8 at most."""

import re

MESSAGE_OVERHEAD = 3
REPLY_OVERHEAD = 3


def split_tokens(text: str) -> list[str]:
    """The tokens of a text, each with the white space before it; joined they are the text without its last white space.

    A text never has more tokens than bytes, so a bound in bytes is a bound in tokens.
    """
    return [token for space, word in re.findall(r"(\s*)(\S+)", text) for token in _runs(space, word)]


def _runs(space: str, word: str) -> list[str]:
    runs = [""]
    for character in word:
        if runs[-1] and len((runs[-1] + character).encode()) > 4:
            runs.append("")
        runs[-1] += character
    return [space + runs[0], *runs[1:]]


def count_prompt(texts: list[str]) -> int:
    """What a conversation counts: its texts, three tokens a message, and three to begin the reply."""
    return sum(len(split_tokens(text)) + MESSAGE_OVERHEAD for text in texts) + REPLY_OVERHEAD
