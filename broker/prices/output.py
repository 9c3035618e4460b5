"""The output maximum to ask for, of an app that set none."""

from broker.prices.book import context_limit, output_limit


def usual_output(provider: str, model: str, input_bound: int, usual: int) -> int:
    """The model's own; where the list has no other than its whole context, what the input leaves of that.

    Providers refuse an input and a maximum that are together more than the context. Few tokens are as short as a byte: of an
    input that could fill the context a `usual` answer, or half the context, is still asked for.
    """
    limit, context = output_limit(provider, model) or usual, context_limit(provider, model)
    if context is None or limit < context:
        return limit
    return max(context - input_bound, min(usual, context // 2))
