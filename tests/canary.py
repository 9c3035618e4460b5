"""Provider keys of the whole suite; no file, log, page or traceback of a run may hold one of them."""

from base64 import b64encode
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

KEY = "sk-proj-CANARY-0123456789-abcdefghij"
CONSENT_KEY = "sk-CANARY-0123456789-9f2A"
KEYS = {
    "openai": KEY,
    "anthropic": "sk-ant-api03-CANARY-0123456789-abcdefghij",
    "google": "AIzaCANARY-0123456789-abcdefghij",
    "mistral": "mistral-CANARY-0123456789-abcdefghij",
    "cohere": "cohere-CANARY-0123456789-abcdefghij",
}
CANARIES = (*KEYS.values(), CONSENT_KEY)


def forms_of(secret: str) -> set[bytes]:
    """The bytes a secret may hide in: raw, hex, UTF-16, and base64 at each of its three alignments."""
    raw = secret.encode()
    inner = (b64encode(raw[skip : skip + (len(raw) - skip) // 3 * 3]) for skip in range(3))
    return {raw, raw.hex().encode(), secret.encode("utf-16-le"), *inner}


CORE = "CANARY-0123456789-"
"""What all of them have in common: every form of one of them holds a form of this."""

FORMS = {form for secret in CANARIES for form in forms_of(secret)}
CORES = forms_of(CORE)


def leaks_in(blob: bytes) -> bool:
    """Looks for what they have in common first: a run writes thousands of files, and next to none of them holds it."""
    return any(core in blob for core in CORES) and any(form in blob for form in FORMS)


def leaking_files(folder: Path, searched: AbstractSet[Path] = frozenset()) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if not searched.isdisjoint(path.parents) or not path.is_file() or path.is_symlink():
            continue
        if leaks_in(path.read_bytes()):
            yield path


_REPORTS: list[str] = []
_SEARCHED: set[Path] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What a failing test would print: output, logs, traceback."""
    texts = [text for _, text in report.sections]
    if any(leaks_in(text.encode()) for text in texts):
        _REPORTS.append(f"the output of {report.nodeid}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker that has ended says what it found in its folder; one that crashed says nothing."""
    said = getattr(node, "workeroutput", {})
    if "searched" in said:
        _SEARCHED.add(Path(said["searched"]))
        _REPORTS.extend(said["leaks"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Over everything that all tests wrote, once: each worker its own folder, and all else where the session is led from."""
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    leaking = [str(path.relative_to(folder.parent)) for path in leaking_files(folder, _SEARCHED)]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput |= {"searched": str(folder), "leaks": leaking}
        return
    found = [*_REPORTS, *leaking]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if reporter is not None:
        said = f"a provider key is in: {', '.join(found)}" if found else "no provider key was left anywhere"
        reporter.write_line(f"\ncanary: {said}", red=bool(found), green=not found)
