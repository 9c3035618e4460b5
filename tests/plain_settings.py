"""The settings where nothing is set: to read them takes longer than many a test, so that it is done once."""

from functools import cache
from pathlib import Path

from broker.settings import Settings


def settings_in(data_dir: Path) -> Settings:
    return _nothing_set().model_copy(update={"data_dir": data_dir})


@cache
def _nothing_set() -> Settings:
    return Settings(_env_file=None)  # type: ignore[call-arg]
