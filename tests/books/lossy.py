"""A way to PostgreSQL that carries everything, but for the answer to one COMMIT: then it breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

SOCKET = ".s.PGSQL.5432"


@dataclass
class Lossy:
    url: str
    server: Path
    loses: bool = False
    """Whether the next COMMIT is done and its answer is lost."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        from_server, to_server = await asyncio.open_unix_connection(self.server)
        answers = asyncio.create_task(_pipe(from_server, writer))
        try:
            while said := await reader.read(65_536):
                lost = self.loses and b"COMMIT" in said
                if lost:
                    self.loses = False
                    answers.cancel()
                to_server.write(said)
                if lost:
                    await from_server.read(1)
                    break
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            to_server.close()
            writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65_536):
        writer.write(said)
    writer.close()


@asynccontextmanager
async def lossy(url: str, folder: Path) -> AsyncIterator[Lossy]:
    """Carries what is said to the server of `url`; its socket is in `folder`."""
    parts = urlsplit(url)
    [place] = parse_qs(parts.query)["host"]
    way = Lossy(urlunsplit(parts._replace(query=f"host={folder}")), Path(place) / SOCKET)
    server = await asyncio.start_unix_server(way.carry, folder / SOCKET)
    try:
        yield way
    finally:
        server.close()
        for task in way.tasks:
            task.cancel()
        await asyncio.gather(*way.tasks, return_exceptions=True)
