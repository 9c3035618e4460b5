"""POST /v2/rerank of Cohere's: paid for by searches, a query with up to a hundred documents each (docs.cohere.com).

A document that is longer than 500 tokens with the query is split, and each part counts as a document.
"""

import unicodedata
from typing import Literal

from broker.core.extras import Extras
from broker.core.money import ceil_div
from broker.providers.body import count_of, not_bounded, rendered, shown, text_of
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

PART_TOKENS, PARTS = 500, 100
"""Tokens of a part together with the query, and parts of a search."""
AROUND = 8
"""More than the tokens that mark where a text begins and ends."""

_KNOWN = frozenset(["model", "query", "documents", "top_n", "max_tokens_per_doc"])
_QUERY = 100_000
_DOCUMENTS = 10_000
_LONG = 20_000
"""Characters of all texts together that are put into each form; of more, each byte counts as what it can become at most."""
FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


def read_rerank(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """Raises CallRefused when it is not valid."""
    query, documents = text_of(body, "query", _QUERY), body.get("documents")
    if not isinstance(documents, list) or not 0 < len(documents) <= _DOCUMENTS:
        raise refuse_request(f"documents must be an array of 1 to {_DOCUMENTS} strings.")
    texts = [each for each in documents if isinstance(each, str)]
    if len(texts) < len(documents):
        raise refuse_request("documents must be an array of strings.")
    most = count_of(body, "max_tokens_per_doc", 2**31 - 1)
    # Forms of long texts take minutes, in which nobody else is served.
    is_long = len(query) + sum(len(text) for text in texts if not text.isascii()) > _LONG
    asked, parts = most_tokens(query, is_long=is_long), 0
    for text in texts:
        tokens = most_tokens(text, is_long=is_long)
        parts += most_parts(asked, tokens if most is None else min(tokens, most))
    sent = rendered(body)
    known = {*_KNOWN, *(["priority"] if body.get("priority") in (None, 0) else [])}
    return Reading(
        model=text_of(body, "model", 200),
        action="rerank",
        extra_actions=frozenset(),
        streamed=False,
        wants_usage=False,
        own_output=0,
        choices=1,
        covers_reasoning=True,
        input_bound=max(size, len(sent)) * NORMALISING_FACTOR + AROUND * (len(texts) + 1),
        unbounded=not_bounded(shown(name) for name in body.keys() - known - provider.allow_fields),
        render=lambda _: sent,
        target=path,
        units=True,
        most=Extras(searches=max(1, ceil_div(parts, PARTS))),
    )


def most_parts(query: int, document: int) -> int:
    """Into how many parts a document is split, whichever way the query counts with each of them."""
    room = max(1, PART_TOKENS - query)
    return max(ceil_div(document, room), ceil_div(document + query, PART_TOKENS))


def most_tokens(text: str, *, is_long: bool = False) -> int:
    """No tokenizer makes more of a text than bytes of it, in whatever form it puts the text first."""
    if text.isascii():
        return len(text) + AROUND
    if is_long or len(text) > _LONG:
        return len(text.encode()) * NORMALISING_FACTOR + AROUND
    forms = [unicodedata.normalize(form, each) for form in FORMS for each in (text, text.casefold(), text.lower())]
    return max(len(each.encode()) for each in (text, *forms)) + AROUND
