"""Gemini's embedContent and batchEmbedContents as requests: an allow-list of fields, and the most that they can use."""

from broker.providers.body import not_bounded, objects_of, rendered, shown
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.google_media import Media
from broker.providers.google_request import CONTENT_TOKENS, REQUEST_TOKENS, Found, needs_of_content, spelt
from broker.providers.known import NORMALISING_FACTOR
from broker.providers.registry import Provider

_HARMLESS = frozenset(["model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"])
_CONFIG = frozenset(["taskType", "title", "outputDimensionality", "autoTruncate"])


def read_embedding(body: Body, size: int, provider: Provider, path: str, model: str) -> Reading:
    """One content; raises CallRefused when it is not valid."""
    asked = _request(body, model)
    return _read(asked, [asked], size, path, Media(provider, model))


def read_batch(body: Body, size: int, provider: Provider, path: str, model: str) -> Reading:
    """Many contents, each in a request of its own that names the model again."""
    asked = spelt(body)
    if asked.keys() != {"requests"}:
        raise refuse_request("A batch has requests, and nothing else.")
    requests = [_request(each, model) for each in objects_of(asked, "requests")]
    if not requests:
        raise refuse_request("requests must be an array of objects.")
    return _read({"requests": list(requests)}, requests, size, path, Media(provider, model))


def _request(body: Body, model: str) -> Body:
    asked = spelt(body)
    if asked.get("model") not in (None, model, f"models/{model}"):
        raise refuse_request("model must be that of the path.")
    if not isinstance(asked.get("content"), dict):
        raise refuse_request("content must be an object.")
    return asked


def _read(body: Body, requests: list[Body], size: int, path: str, media: Media) -> Reading:
    needs = dict(need for request in requests for need in _needs(request, media))
    sent = rendered(body)
    constants = (REQUEST_TOKENS + CONTENT_TOKENS) * len(requests) + media.tokens
    return Reading(
        model=media.model,
        action="embeddings",
        extra_actions=media.actions.union(action for action in needs.values() if action),
        streamed=False,
        wants_usage=False,
        own_output=0,
        choices=1,
        covers_reasoning=True,
        input_bound=(max(size, len(sent)) - media.data) * NORMALISING_FACTOR + constants,
        unbounded=not_bounded(needs),
        render=lambda _: sent,
        target=path,
    )


def _needs(request: Body, media: Media) -> Found:
    allowed = media.provider.allow_fields
    yield from ((shown(name), "") for name in request.keys() - _HARMLESS - allowed)
    config = request.get("embedContentConfig") or {}
    if not isinstance(config, dict):
        raise refuse_request("embedContentConfig must be an object.")
    yield from ((f"embedContentConfig.{shown(name)}", "") for name in spelt(config).keys() - _CONFIG - allowed)
    content = request["content"]
    if isinstance(content, dict):
        yield from needs_of_content(spelt(content), media)
