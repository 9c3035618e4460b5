"""Settings that no file and no developer's own has a say in, but the environment of the test."""

from functools import cache
from pathlib import Path
from typing import Any

from broker.settings import Settings


def settings_of(**chosen: Any) -> Settings:
    return Settings(**chosen | {"_env_file": None})


def settings_in(data_dir: Path) -> Settings:
    """With nothing set but this: to read them takes longer than many a test, so that it is done once."""
    return _nothing_set().model_copy(update={"data_dir": data_dir})


@cache
def _nothing_set() -> Settings:
    return settings_of()
