"""A web of a few documents, for a server that may ask nobody else."""

import json
from dataclasses import dataclass, field

from broker.providers.fetch import Fetched, NotFetched

JSON = {"content-type": "application/json"}


@dataclass
class PublishedWeb:
    """Answers what was put at an address; counts who was asked for what."""

    answers: dict[str, Fetched] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, url: str, *, most: int, accept: str) -> Fetched:
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None or len(answer.body) > most:
            raise NotFetched("nobody answers")
        return answer

    def publish(self, url: str, content: object, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[url] = Fetched(status, JSON | named, json.dumps(content).encode())
