"""Where one is led after signing in: a waiting request, or one of our own pages by a fixed list."""

import re
from urllib.parse import quote

HOME = "/grants"

_ID = r"[a-z]{3}_[A-Za-z0-9_-]{22}"
_REQUEST = re.compile(_ID, re.ASCII)
_PAGES = re.compile(
    rf"/grants(?:/pause-all|/{_ID}(?:/limits(?:\?raise=(?:budget|requests))?|/revoke)?)?"
    rf"|/keys(?:/new|/{_ID}/replace|/{_ID}/remove)?"
    r"|/device(?:\?user_code=[A-Z]{4}-[A-Z]{4})?",
    re.ASCII,
)
_CONSENT = re.compile(rf"/consent/({_ID})(?:/done)?", re.ASCII)


def known_request(text: str | None) -> str | None:
    """The id of a grant request, if it looks like one."""
    return text if text and _REQUEST.fullmatch(text) else None


def known_page(text: str | None) -> str | None:
    return text if text and _PAGES.fullmatch(text) else None


def destination(request_id: str | None, page: str | None) -> str:
    if known := known_request(request_id):
        return f"/consent/{known}"
    return known_page(page) or HOME


def sign_in_address(path: str) -> str:
    """The sign-in page that leads back to `path`, or simply the sign-in page."""
    if match := _CONSENT.fullmatch(path):
        return f"/sign-in?request={match[1]}"
    return f"/sign-in?next={quote(path)}" if known_page(path) else "/sign-in"
