"""A page that ends here, with one way on."""

from broker.core.errors import PageError


class DeadEnd(PageError):
    def __init__(
        self,
        status: int,
        title: str,
        what: str,
        *,
        label: str,
        href: str,
        did_not: str = "Nothing was changed.",
        detail: str = "",
    ) -> None:
        super().__init__(status, title, what, did_not=did_not, detail=detail)
        self.label = label
        self.href = href
