"""What cleanup does with rows that are old: calls and refusals to an archive, the rest deleted."""

from sqlmodel.ext.asyncio.session import AsyncSession

from broker.audit.record import OPERATOR, record
from broker.cli.desk import Desk
from broker.core.counted import of_number
from broker.ledger import archive
from broker.ledger.archive_file import ArchiveFile
from broker.store import ended

_ARCHIVED = ((archive.CALLS, ended.Words("call")), (archive.REFUSALS, ended.Words("refused call")))


async def counted(desk: Desk, until: int) -> list[str]:
    moved = [(await archive.count(desk.db, kind, until), words) for kind, words in _ARCHIVED]
    deleted = [(await ended.count(desk.db, kind, until), kind.words) for kind in ended.KINDS]
    lines = [f"{number} {words.of(number)} would go to an archive." for number, words in moved]
    return lines + [f"{number} {words.of(number)} would be deleted." for number, words in deleted]


async def removed(desk: Desk, until: int) -> list[str]:
    file = ArchiveFile(desk.settings.data_dir / "archive", desk.now())
    try:
        moved = [(await archive.archive(desk.db, kind, until, file), words) for kind, words in _ARCHIVED]
    finally:
        file.close()
    deleted = [(await ended.remove(desk.db, kind, until), kind.words) for kind in ended.KINDS]
    calls, refused = (number for number, _ in moved)

    async def note(tx: AsyncSession) -> None:
        gone = sum(number for number, _ in deleted)
        details = {"calls": calls, "refused": refused, "deleted": gone, "until": until}
        await record(tx, desk.now(), "ledger.archived", OPERATOR, file.path.name, **details)

    await desk.db.write(note)
    lines = [f"{number} {words.of(number)} went to {file.path}." for number, words in moved if number]
    lines += [
        f"{number} {words.of(number)} {of_number(number, 'was', 'were')} deleted."
        for number, words in deleted
        if number
    ]
    return lines or ["Nothing is that old."]
