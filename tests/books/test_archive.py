"""Old calls go to a file, and nothing that their owner or the books say changes by it."""

import gzip
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from broker.core.clock import DAY
from broker.ledger import archive, history
from broker.ledger.archive import CALLS, REFUSALS, Changed
from broker.ledger.archive_file import ArchiveFile
from broker.ledger.rollup import roll_up
from broker.ledger.verify import verify
from broker.store.ledger_tables import Refusal
from tests.books.world import ESTIMATED, NOT_RUN, Books, Lent, reported

RICH = {"models": '["*"]', "budget": 10**9}


@pytest.fixture
def file(books: Books, tmp_path: Path) -> ArchiveFile:
    return ArchiveFile(tmp_path / "data" / "archive", books.clock())


def lines(file: ArchiveFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(file.path.read_bytes()).splitlines()]


async def old_and_new(books: Books) -> list[Lent]:
    """Two grants with calls of every ending forty days ago, one call that runs since then, and calls of today."""
    await books.limit("provider", "openai", "month", budget=10**9, max_requests=10**6)
    await books.limit("credential", books.own_key, "day", budget=10**9)
    lents = [await books.lend(RICH | {"budget_per": "day"}, {"budget": 5}), await books.lend(RICH)]
    for lent in lents:
        for ending in (NOT_RUN, ESTIMATED, reported(30, 5), reported(1, 0)):
            await books.settle(await books.reserve(lent), ending)
    await books.reserve(lents[0])
    now = books.clock()
    await books.add(
        Refusal(id="ref", grant_id=lents[0].grant_id, at=now, provider="openai", model="x", code="no_price")
    )
    books.clock.turn(40 * 86_400)
    for lent in lents:
        await books.settle(await books.reserve(lent), reported(50, 0))
    await books.add(Refusal(id="new", grant_id=lents[0].grant_id, at=now + 40 * DAY, provider="o", model="x", code="x"))
    return lents


async def clean(books: Books, file: ArchiveFile) -> tuple[int, int]:
    until = books.clock() - 30 * DAY
    return (
        await archive.archive(books.db, CALLS, until, file, pause=0),
        await archive.archive(books.db, REFUSALS, until, file, pause=0),
    )


async def told(books: Books, lents: list[Lent]) -> list[object]:
    """What the pages say of the past."""
    said: list[object] = []
    for lent in lents:
        said.append(await books.db.read(partial(history.by_model, grant_id=lent.grant_id)))
        said.append(await books.db.read(partial(history.cost_by_quarter, grant_id=lent.grant_id, since=0)))
        said.append(await books.db.read(partial(history.last_used, grant_id=lent.grant_id)))
    said.append(await books.db.read(lambda tx: history.spent_since(tx, books.user_id, 0)))
    said.append(await books.db.read(lambda tx: history.total_costs(tx, [lent.grant_id for lent in lents])))
    return said


async def test_what_ended_long_ago_goes_and_the_books_and_the_pages_say_the_same(
    books: Books, file: ArchiveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, few in (("PARENTS", 1), ("READ", 3), ("WRITE", 2)):
        monkeypatch.setattr(archive, name, few)
    lents = await old_and_new(books)
    before, spent = await told(books, lents), (await verify(books.db)).spent
    every = {row.id: row.model_dump() for row in await books.rows()}
    until = books.clock() - 30 * DAY
    assert [await archive.count(books.db, kind, until) for kind in (CALLS, REFUSALS)] == [8, 1]
    assert await clean(books, file) == (8, 1)
    left = {row.id for row in await books.rows()}
    assert {line["call"]["id"]: line["call"] for line in lines(file) if "call" in line} == {
        each: row for each, row in every.items() if each not in left
    }
    assert [line["refusal"]["id"] for line in lines(file) if "refusal" in line] == ["ref"]
    assert sorted(row.state for row in await books.rows()) == ["held", "settled", "settled"]
    verdict = await verify(books.db)
    assert (verdict.fault, verdict.calls, verdict.archived, verdict.spent) == ("", 3, 8, spent)
    assert await told(books, lents) == before
    await roll_up(books.db)
    assert await told(books, lents) == before
    assert await clean(books, file) == (0, 0)
    file.close()


async def test_nothing_old_makes_no_file(books: Books, file: ArchiveFile) -> None:
    await books.settle(await books.reserve(await books.lend()), NOT_RUN)
    assert await clean(books, file) == (0, 0)
    assert not file.path.parent.exists()


async def test_only_its_owner_can_read_an_archive(books: Books, file: ArchiveFile) -> None:
    await old_and_new(books)
    await clean(books, file)
    file.close()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700


class Full(ArchiveFile):
    """A disk that takes the first rows and no more."""

    def write(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        if self.path.exists():
            raise OSError(28, "No space left on device")
        super().write(kind, rows)


async def test_a_disk_that_fills_up_loses_no_row(books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "READ", 3)
    full = Full(tmp_path / "archive", books.clock())
    await old_and_new(books)
    every = {row.id for row in await books.rows()}
    with pytest.raises(OSError, match="No space"):
        await clean(books, full)
    kept = {line["call"]["id"] for line in lines(full)}
    assert kept
    assert kept | {row.id for row in await books.rows()} == every
    full.close()


async def test_a_row_that_changed_since_it_was_written_stays(books: Books, tmp_path: Path) -> None:
    await old_and_new(books)
    until = books.clock() - 30 * DAY
    rows, _ = await books.db.read_core(lambda c: archive._read(c, CALLS, select(CALLS.parent.c.id), until))
    await books.run("UPDATE reservation SET outcome = 'told late' WHERE mark = 'estimated'")
    with pytest.raises(Changed):
        await books.db.write_core(lambda c: archive._remove(c, CALLS, rows))
    assert len(await books.rows()) == 11
    assert (await verify(books.db)).archived == 0


async def test_two_cleanups_at_once_count_each_row_once(books: Books, file: ArchiveFile) -> None:
    await old_and_new(books)
    until = books.clock() - 30 * DAY
    rows, _ = await books.db.read_core(lambda c: archive._read(c, CALLS, select(CALLS.parent.c.id), until))
    assert await clean(books, file) == (8, 1)
    assert await books.db.write_core(lambda c: archive._remove(c, CALLS, rows)) == 0
    assert (await verify(books.db)).archived == 8
    file.close()
