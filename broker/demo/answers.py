"""What the sandbox says: always the same to the same question, and never pretending to be more than it is."""

import re

MOST_WORDS = 5_000
GREETING = re.compile(r"^\s*(hi|hello|hey|good (morning|afternoon|evening))\b", re.IGNORECASE)
COUNT = re.compile(r"\bcount (?:up )?to (\d{1,9})\b", re.IGNORECASE)
WORDS = re.compile(r"\b(\d{1,9}) words\b", re.IGNORECASE)
FILLER = (
    "the",
    "sandbox",
    "keeps",
    "writing",
    "one",
    "word",
    "after",
    "another",
    "until",
    "there",
    "are",
    "enough",
    "and",
)


def answer(question: str, turn: int) -> str:
    """The reply to the last message of a person, who has now spoken `turn` times."""
    if found := COUNT.search(question):
        return _count(min(int(found[1]), MOST_WORDS))
    if found := WORDS.search(question):
        return _write(min(int(found[1]), MOST_WORDS))
    if GREETING.match(question):
        return "Hello! I am the sandbox, a small program that answers like a provider. Ask me anything, or ask me to count to 500."
    return (
        f"You said: {_quote(question)}. I am the sandbox, so I have read it but I cannot think about it; "
        "a real provider would answer here, and be paid from the same spending limit. "
        f"This is answer {turn} of our conversation. Try “Count to 500” to watch a long one arrive."
    )


def _count(last: int) -> str:
    return " ".join([f"{number}," for number in range(1, last)] + [f"{last}."])


def _write(words: int) -> str:
    return " ".join(FILLER[number % len(FILLER)] for number in range(words)) + "."


def _quote(question: str) -> str:
    words = question.split()
    shown = " ".join(words[:40])[:400]
    return f"“{shown}{'…' if len(' '.join(words)) > len(shown) else ''}”"
