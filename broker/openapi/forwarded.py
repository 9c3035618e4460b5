"""What the proxy answers: paths of the providers' own, each asked of its dialect, and what is left of a grant."""

from broker.openapi.operation import JSON, TOKEN, Operation, Schema, record, ref, text
from broker.providers.dialect import Dialect

EXAMPLES = {
    "model": "m",
    "response_id": "resp_1",
    "file_id": "file_1",
    "batch_id": "batch_1",
    "message_batch_id": "msgbatch_1",
    "deployment": "d",
    "conversation_id": "conv_1",
    "item_id": "msg_1",
}
"""What stands for a template when a dialect is asked about its path."""

PROVIDERS = {"openai", "anthropic", "google", "mistral", "cohere"}
"""Those whose dialect has their name; a server of another name takes the paths of its dialect under its own."""

_LISTINGS = ("/v1/models", "/v1beta/models")

_REFUSALS = {
    400: "The body is not strict JSON, or not what the provider takes.",
    401: "No access token, or one that is worth nothing.",
    402: "The money or the requests that were granted do not reach.",
    403: "Not granted, paused, frozen, without a price, or without a bound; nothing was forwarded.",
    409: "A request of this Idempotency-Key runs, or has run.",
    413: "The body is larger than this server accepts.",
    415: "The body is of another media type, or compressed.",
    422: "The Idempotency-Key stands for another body.",
    429: "Too many at once or a minute; `Retry-After` says when.",
    502: "The provider did not give a whole answer.",
    503: "The provider's key, or the broker itself, is not available.",
    504: "The provider did not answer in time.",
}
_OWN: Schema = {"type": "object", "description": "In the provider's own format."}
_STREAM: Schema = text("Events, where the request asks for a stream.")


def operations(dialects: dict[str, Dialect]) -> dict[tuple[str, str], Operation]:
    """By method and path."""
    told = {("GET", "/proxy/status"): _status()}
    for name in sorted(PROVIDERS):
        for path in paths_of(dialects[name]):
            for method in _methods(dialects[name], path):
                told[method, f"/proxy/{name}{path}"] = _operation(dialects[name], path, method)
    return told


def paths_of(dialect: Dialect) -> tuple[str, ...]:
    listings = [path for path in _LISTINGS if dialect.is_listing(path)]
    return (*dialect.paths(), *listings, *(f"{path}/{{model}}" for path in listings))


def filled(path: str) -> str:
    for name, example in EXAMPLES.items():
        path = path.replace(f"{{{name}}}", example)
    return path


def _methods(dialect: Dialect, path: str) -> tuple[str, ...]:
    return ("GET",) if _lists(dialect, path) else dialect.methods(filled(path))


def _lists(dialect: Dialect, path: str) -> bool:
    return dialect.is_listing(path.removesuffix("/{model}"))


def _operation(dialect: Dialect, path: str, method: str) -> Operation:
    if _lists(dialect, path):
        one = path.endswith("/{model}")
        which = "One of the models" if one else "The models"
        summary = f"{which} that are granted and have a price; answered by the broker."
        return Operation(
            summary,
            dialect.name,
            TOKEN,
            answers={200: ("They.", {JSON: _OWN})},
            errors=_few(401, 403) | ({404: "The model is not granted, or has no price."} if one else {}),
            error="ProxyError",
        )
    body = {JSON: _OWN} if method == "POST" and not path.endswith(("/cancel", ":cancel")) else {}
    answer = {JSON: _OWN, "text/event-stream": _STREAM} if body else {JSON: _OWN}
    query = record("alt", alt={"const": "sse"}) if path.endswith(":streamGenerateContent") else {}
    return Operation(
        "Forwarded to the provider, within what is granted.", dialect.name, TOKEN, body, query,
        answers={200: ("The provider's own answer.", answer)}, errors=_REFUSALS, error="ProxyError",
    )  # fmt: skip


def _status() -> Operation:
    answers = {200: ("The grant of the token that is shown.", {JSON: ref("Grant")})}
    return Operation("What is left.", "proxy", TOKEN, answers=answers, errors=_few(401), error="ProxyError")


def _few(*statuses: int) -> dict[int, str]:
    return {status: _REFUSALS[status] for status in statuses}
