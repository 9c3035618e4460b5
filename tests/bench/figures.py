"""What was measured, as it is read from result.json: the medians of a run, or one of its rounds by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Result = Mapping[str, Any]
"""The parts of result.json by name."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured, read by server and scene."""

    result: Result
    round: int | None = None
    """Only what this round gave, where there were several."""

    def one(self, server: str, scene: str, figure: str) -> float | None:
        return self.part("compare", "servers", server, scene, figure)

    def ratio(self, server: str, other: str, scene: str) -> float | None:
        upper, lower = self.one(server, scene, "rps"), self.one(other, scene, "rps")
        return upper / lower if upper is not None and lower else None

    def added(self, server: str, scene: str, figure: str) -> float | None:
        """Milliseconds above those of the provider itself."""
        with_us, without = self.one(server, scene, figure), self.one("direct", scene, figure)
        return None if with_us is None or without is None else with_us - without

    def part(self, *names: str) -> float | None:
        found = self._of_round(self._at(names[:-1])).get(names[-1])
        return None if found is None else float(found)

    def fdatasync_ms(self, part: str) -> float | None:
        """Measured once, just before that part."""
        found = self._at((part, "machine")).get("fdatasync_ms")
        return None if found is None else float(found)

    def _at(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        found: Any = self.result
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _of_round(self, measured: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.round is None:
            return measured
        each = measured.get("each", [])
        return each[self.round] if self.round < len(each) else {}
