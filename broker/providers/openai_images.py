"""OpenAI's pictures as requests: how many tokens one of each size and quality has, and those that go in.

"Image generation" and the pages of the models, as of November 2026. gpt-image-1: tokens by size and quality, 100 more for each
partial picture; a picture that goes in has 65, and 129 a tile of 512 when its short side is 512, and up to 6,240 more at high
fidelity. gpt-image-1-mini: by its price of a picture, half a step of rounding on top. Models that write while they draw, or
draw at any size, publish no most.
"""

import re
from typing import NamedTuple

from broker.core.extras import Extras
from broker.core.strict_json import JSONValue
from broker.providers.body import count_of, flag_of, not_bounded, rendered, shown, text_of
from broker.providers.dialect import Body, Reading, refuse_request
from broker.providers.form import Form, FormRule, rendered_form
from broker.providers.registry import Provider

MOST_PICTURES, MOST_PARTIAL, PARTIAL_TOKENS = 10, 3, 100
MOST_TILES = 8
PICTURE_TOKENS = 65 + 129 * MOST_TILES
FIDELITY_TOKENS = 6_240
REQUEST_TOKENS = 64


class Sizes(NamedTuple):
    """Tokens of one picture: square, portrait, landscape."""

    square: int
    portrait: int
    landscape: int


_SIZES = {"1024x1024": 0, "1024x1536": 1, "1536x1024": 2}
_GPT_IMAGE_1 = {"low": Sizes(272, 408, 400), "medium": Sizes(1_056, 1_584, 1_568), "high": Sizes(4_160, 6_240, 6_208)}
_MINI = {"low": Sizes(688, 813, 813), "medium": Sizes(1_438, 1_938, 1_938), "high": Sizes(4_563, 6_563, 6_563)}
_MODELS = (
    (re.compile(r"gpt-image-1(?:-\d{4}-\d{2}-\d{2})?", re.ASCII), _GPT_IMAGE_1),
    (re.compile(r"gpt-image-1-mini(?:-\d{4}-\d{2}-\d{2})?", re.ASCII), _MINI),
)
_FIELDS = frozenset(
    [
        "model", "prompt", "n", "size", "quality", "background", "moderation", "output_compression", "output_format",
        "response_format", "user", "stream", "partial_images",
    ]
)  # fmt: skip
_EDIT_FIELDS = _FIELDS | {"input_fidelity"}
PICTURES = FormRule(
    files={"image": 16, "mask": 1},
    numbers=frozenset(["n", "output_compression", "partial_images"]),
    flags=frozenset(["stream"]),
)


def read_generation(body: Body, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/images/generations."""
    text_of(body, "prompt", 2**20)
    sent = rendered(body)
    unbounded = [shown(name) for name in body.keys() - _FIELDS - provider.allow_fields]
    bound = max(size, len(sent)) + REQUEST_TOKENS
    return _reading(body, path, sent, b"application/json", unbounded, text=bound, pictures=0)


def read_edit(form: Form, size: int, provider: Provider, path: str) -> Reading:
    """POST /v1/images/edits, in parts."""
    body = form.body
    text_of(body, "prompt", 2**20)
    if not form.files.get("image"):
        raise refuse_request("image must be a picture.")
    unbounded = [shown(name) for name in body.keys() - _EDIT_FIELDS - provider.allow_fields]
    unbounded += [shown(name) for name in form.files.keys() - PICTURES.files.keys()]
    if _sizes(text_of(body, "model", 200)) is not _GPT_IMAGE_1:
        unbounded.append("image")
    if body.get("input_fidelity") not in (None, "low", "high"):
        raise refuse_request("input_fidelity must be low or high.")
    each = PICTURE_TOKENS + (FIDELITY_TOKENS if body.get("input_fidelity") == "high" else 0)
    held = [file for name in PICTURES.files for file in form.files.get(name, ())]
    content_type, sent = rendered_form(body, form.files)
    bound = size - form.file_bytes + REQUEST_TOKENS
    return _reading(body, path, sent, content_type, unbounded, text=bound, pictures=each * len(held))


def _reading(
    body: Body, path: str, sent: bytes, content_type: bytes, unbounded: list[str], *, text: int, pictures: int
) -> Reading:
    model, streamed = text_of(body, "model", 200), flag_of(body, "stream")
    count = count_of(body, "n", MOST_PICTURES) or 1
    partial = count_of(body, "partial_images", MOST_PARTIAL, least=0) or 0
    tokens = _tokens(model, body.get("size"), body.get("quality"))
    if tokens is None:
        unbounded = [*unbounded, "model" if _sizes(model) is None else "size or quality"]
    if streamed and count > 1:
        unbounded = [*unbounded, "n"]
    return Reading(
        model=model, action="images", extra_actions=frozenset(), streamed=streamed,
        # The event with the usage is part of every stream here.
        wants_usage=True, own_output=None, choices=1, covers_reasoning=False, input_bound=text + pictures,
        unbounded=not_bounded(unbounded), render=lambda _: sent, target=path, content_type=content_type,
        most=Extras(input_image_tokens=pictures),
        fixed_output=count * ((tokens or 0) + partial * PARTIAL_TOKENS),
    )  # fmt: skip


def _sizes(model: str) -> dict[str, Sizes] | None:
    return next((sizes for names, sizes in _MODELS if names.fullmatch(model)), None)


def _tokens(model: str, size: JSONValue, quality: JSONValue) -> int | None:
    """The most of one picture; what is left to the model counts as the dearest."""
    known = _sizes(model)
    if known is None:
        return None
    sizes = known.get("high" if quality in (None, "auto") else quality) if isinstance(quality, str | None) else None
    if sizes is None or size in (None, "auto"):
        return None if sizes is None else max(sizes)
    return sizes[_SIZES[size]] if isinstance(size, str) and size in _SIZES else None
