"""Text that an app supplied, made fit to stand on a page of ours."""

import unicodedata

MOST = 200

_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_INVISIBLE = {"Cf", "Cs", "Co", "Cn"}
_BREAKS = {"Cc", "Zl", "Zp", "Zs"}


def clean(text: str, most: int = MOST) -> str:
    """One line without control, invisible or direction-changing characters, and no longer than `most`."""
    kept = (_shown(character) for character in text[: 20 * most])
    line = " ".join("".join(kept).split())
    if len(line) > most:
        line = line[: most - 1].rstrip() + "…"
    return _isolated(line)


def quoted(text: str, most: int = MOST) -> str:
    return f"“{clean(text, most)}”"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in _INVISIBLE:
        return ""
    return " " if category in _BREAKS else character


def _isolated(line: str) -> str:
    # Right-to-left letters would otherwise pull our own words to their other side (Unicode UAX #9, isolates).
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in line):
        return f"\u2068{line}\u2069"
    return line
