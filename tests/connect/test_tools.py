"""The table of programs: its pages show what the command prints, and files are changed by no more than they should be."""

import json
import tomllib
from pathlib import Path

import pytest

from broker.cli.command import Wrong
from broker.cli.tool_files import planned
from broker.cli.tools import MODELS, TOOLS, Exports, JsonFile, Line, Place, Settings, TomlFile
from tests.rooms import CHECKOUT

PAGES = CHECKOUT / "docs/how-to/clients"
ISSUER = "https://broker.example"
ROWS = [
    pytest.param(name, dialect, settings, id=f"{name} {dialect}")
    for name, tool in TOOLS.items()
    for dialect, settings in tool.speaks.items()
]


def place(name: str, dialect: str, called: str | None = None) -> Place:
    models = TOOLS[name].models or MODELS[dialect]
    return Place(f"{ISSUER}/proxy/{TOOLS[name].provider or dialect}", ("broker", "token", called or name), models)


def codex() -> TomlFile:
    settings = TOOLS["codex"].speaks["openai"]
    assert isinstance(settings, TomlFile)
    return settings


def claude_code() -> JsonFile:
    settings = TOOLS["claude-code"].speaks["anthropic"]
    assert isinstance(settings, JsonFile)
    return settings


@pytest.mark.parametrize(("name", "dialect", "settings"), ROWS)
def test_the_page_of_a_program_shows_what_the_command_prints(name: str, dialect: str, settings: Settings) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    known = (name, f"{name}-{dialect}")
    texts = [settings.text(place(name, dialect, called)) for called in known]
    shown = [text for text in texts if f"\n{text}```" in page]
    # curl's only differ in the provider, and its page shows one of them.
    assert shown or (name == "curl" and dialect != "openai")


def test_each_program_has_a_page_and_is_in_the_list_of_them() -> None:
    listed = (PAGES / "README.md").read_text("utf-8")
    assert {path.stem for path in PAGES.glob("*.md")} == set(TOOLS) | {"README"}
    assert all(f"| [{tool.title}]({name}.md) | " in listed for name, tool in TOOLS.items())


@pytest.mark.parametrize(("name", "dialect", "settings"), ROWS)
def test_no_settings_hold_a_token_and_those_of_a_file_can_be_read(name: str, dialect: str, settings: Settings) -> None:
    text = settings.text(place(name, dialect))
    if isinstance(settings, JsonFile):
        assert json.loads(text)
        text += settings.start(place(name, dialect)) if settings.start else ""
    elif isinstance(settings, TomlFile):
        assert tomllib.loads(text)
    else:
        assert isinstance(settings, Exports | Line)
        assert f"$(broker token {name})" in text
    assert f"{ISSUER}/proxy/{TOOLS[name].provider or dialect}" in text


def test_a_new_file_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    for settings, at in ((codex(), place("codex", "openai")), (claude_code(), place("claude-code", "anthropic"))):
        change = planned(settings, at)
        change.make()
        assert change.path.read_text() == settings.text(at)
        assert change.path.stat().st_mode & 0o777 == 0o600
        assert planned(settings, at).after == change.after


def test_members_are_put_beside_what_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    file = tmp_path / "settings.json"
    file.write_text('{"model": "opus", "env": {"A": "ü"}}')
    file.chmod(0o644)
    planned(claude_code(), place("claude-code", "anthropic")).make()
    assert json.loads(file.read_text()) == {
        "model": "opus",
        "env": {"A": "ü"} | claude_code().members(place("claude-code", "anthropic"))["env"],
        "apiKeyHelper": "broker token claude-code",
    }
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_file_kept_elsewhere_stays_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    kept = tmp_path / "dotfiles.toml"
    kept.write_text('model = "gpt-5"\n')
    (tmp_path / "config.toml").symlink_to(kept)
    planned(codex(), place("codex", "openai")).make()
    assert (tmp_path / "config.toml").is_symlink()
    assert tomllib.loads(kept.read_text())["model_provider"] == "broker"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('model_provider = "other"\n', "has another model_provider already"),
        ('[model_providers.broker]\nname = "Mine"\n', "has another model_providers.broker.name already"),
        ("model_providers = { a = { name = 'A' } }\n", "cannot be understood"),
        ("model = \n", "cannot be understood"),
        ("model_providers = 1\n", "has another model_providers already"),
    ],
)
def test_toml_is_left_alone_where_something_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(Wrong, match=reason):
        planned(codex(), place("codex", "openai"))
    assert (tmp_path / "config.toml").read_text() == text


@pytest.mark.parametrize("text", ["[1]", "{", '// mine\n{"a": 1}'])
def test_json_that_is_none_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(Wrong, match="cannot be understood"):
        planned(claude_code(), place("claude-code", "anthropic"))
