"""A number with its noun, as it is said to people everywhere."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 request, 1,000 requests."""
    return f"{number:,} {of_number(number, noun, plural)}"


def of_number(number: int, noun: str, plural: str = "") -> str:
    """The noun alone, where the number stands apart: 0 of 1 request."""
    return noun if number == 1 else plural or noun + "s"
