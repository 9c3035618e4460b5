"""broker audit: what happened, and whether the record of it is whole."""

import json
from typing import Annotated

import typer
from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit import verify
from broker.audit.chain import BadHead, read_head
from broker.cli.command import group, say, wrong
from broker.cli.desk import at_desk

audit = group()


@audit.command("verify")
def prove(
    head: Annotated[
        str, typer.Option("--head", metavar="SEQ:DIGEST", help="One that was printed before and kept elsewhere.")
    ] = "",
) -> None:
    """Prove that no entry was changed, added in between or removed; the first fault otherwise, with exit status 1."""
    try:
        kept = read_head(head) if head else None
    except BadHead as error:
        wrong(error.description)
    verdict = at_desk(lambda desk: verify.verify(desk.db, kept))
    say(str(verdict))
    raise typer.Exit(1 if verdict.fault else 0)


@audit.command("export")
def export() -> None:
    """Print the whole trail, one JSON object a line, oldest first."""

    async def told(tx: AsyncSession) -> None:
        async for entries in verify.pages(tx):
            for entry in entries:
                say(json.dumps(entry._asdict() | {"details": json.loads(entry.details)}, ensure_ascii=True))

    at_desk(lambda desk: desk.db.read(told))
