""".env.example lists every setting with its default, and nothing else."""

import re
from pathlib import Path

import pytest

from broker.providers.known import BUILT_IN
from broker.settings import Settings

LINES = (Path(__file__).parents[1] / ".env.example").read_text("utf-8").splitlines()
LISTED = {found[1]: found[2] for line in LINES if (found := re.fullmatch(r"#?([A-Z][A-Z_]+)=(.*)", line))}
OTHERS = {f"{name.upper()}_API_KEY" for name in BUILT_IN} | {"BROKER_PROVIDER_OPENAI_BASE_URL"}


def test_each_setting_is_listed() -> None:
    assert set(LISTED) == {f"BROKER_{name}".upper() for name in Settings.model_fields} | OTHERS


def test_the_defaults_listed_are_those_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LISTED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    bare = Settings()
    given = "\n".join(f"{name}={value}" for name, value in LISTED.items() if value)
    (tmp_path / ".env").write_text(given, "utf-8")
    assert Settings() == bare
