"""Provider keys of the whole suite; no file, log, page or traceback of a run may hold one of them."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

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


def leaking_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and leaks_in(path.read_bytes()):
            yield path


_REPORTS: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What a failing test would print: output, logs, traceback."""
    texts = [text for _, text in report.sections]
    if any(leaks_in(text.encode()) for text in texts):
        _REPORTS.append(f"the output of {report.nodeid}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Over everything that all tests wrote, once, where the session is led from."""
    if hasattr(session.config, "workerinput"):
        return
    folder = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    found = [*_REPORTS, *(str(path.relative_to(folder)) for path in leaking_files(folder))]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if reporter is not None:
        said = f"a provider key is in: {', '.join(found)}" if found else "no provider key was left anywhere"
        reporter.write_line(f"\ncanary: {said}", red=bool(found), green=not found)
