"""Everything that can go wrong, as one tree.

BrokerError
├── OAuthError       answered as JSON to an OAuth client (RFC 6749 §5.2)
├── CallRefused      answered by the proxy in the dialect's own shape
├── PageError        answered to a person as a page
├── InvalidToken     an access token that is not ours, not for us, or over
├── BadForm          a form or query that cannot be read at all
├── Unavailable      the store, the vault or the writer cannot answer: 503, nothing forwarded
└── CannotStart      the process must not serve; its message is for the operator

`description` is fixed text for the caller; `detail` is for the log and never leaves.
"""

from typing import ClassVar

from broker.core.left import Left


class BrokerError(Exception):
    description: str = "Something broke on our side."

    def __init__(self, description: str | None = None, *, detail: str = "") -> None:
        if description is not None:
            self.description = description
        self.detail = detail
        super().__init__(self.description)


class OAuthError(BrokerError):
    """An error answer of the authorization server; description is ASCII without quotes or backslash (RFC 6749 §5.2)."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, basic: bool = False, detail: str = ""
    ) -> None:
        super().__init__(description, detail=detail)
        self.error = error
        self.status = status
        self.basic = basic
        """Whether the client used the Authorization header, and so is answered with a challenge."""


class CallRefused(BrokerError):
    """A call that is not forwarded or not answered by its provider; `code` is the same in every dialect."""

    def __init__(
        self,
        code: str,
        description: str,
        *,
        retry_after: int | None = None,
        extra: dict[str, int | str] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(description, detail=detail)
        self.code = code
        self.retry_after = retry_after
        self.extra = extra or {}
        self.left: Left | None = None
        """Of the limits that it was judged by, if it came to that."""


class PageError(BrokerError):
    """A dead end for a person: what happened, and what did not."""

    def __init__(
        self, status: int, title: str, what: str, *, did_not: str = "Nothing was changed.", detail: str = ""
    ) -> None:
        super().__init__(what, detail=detail)
        self.status = status
        self.title = title
        self.did_not = did_not


class InvalidToken(BrokerError):
    description = "This token is not valid."


class BadForm(BrokerError):
    description = "We could not read that request."


class Unavailable(BrokerError):
    description: str = "The broker cannot check this right now. Nothing was forwarded. Try again in a moment."
    retry_after: ClassVar[int] = 1


NEWER = "The database was written by a newer version of Broker. Install that version, or a newer one."


class CannotStart(BrokerError):
    description = "The broker cannot start."
