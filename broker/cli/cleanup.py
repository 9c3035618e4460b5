"""broker cleanup: what is old leaves the database; calls go to an archive."""

import re
from typing import Annotated

import typer

from broker.cli.command import say, wrong
from broker.core.clock import DAY


def cleanup(
    older_than: Annotated[str, typer.Option("--older-than", metavar="DAYS", help="Such as 30d; a day at least.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is.")] = False,
) -> None:
    """Move old calls to an archive file, and delete what else ended that long ago; counters and charts stay."""
    age = _age(older_than)
    from broker.cli import old_rows
    from broker.cli.desk import at_desk

    tidy = old_rows.counted if dry_run else old_rows.removed
    for line in at_desk(lambda desk: tidy(desk, desk.now() - age)):
        say(line)


def _age(typed: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})d", typed)
    if found is None:
        wrong(f"{typed!r} is no number of days such as 30d; a day is the least.")
    return int(found[1]) * DAY
