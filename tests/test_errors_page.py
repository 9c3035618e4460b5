"""The page of errors has every code the proxy gives, with its true status and type."""

import re
from pathlib import Path

from broker.core.errors import CallRefused
from broker.core.strict_json import loads
from broker.providers.openai import OpenAI
from broker.proxy.refuse import STATUS

PAGE = Path(__file__).parents[1] / "docs/reference/errors.md"


def _type(code: str) -> str:
    answer = loads(OpenAI().error(CallRefused(code, ""), STATUS[code]))
    assert isinstance(answer, dict)
    assert isinstance(answer["error"], dict)
    return str(answer["error"]["type"])


def test_every_code_is_told_with_its_status_and_type() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(code, str(status), _type(code)) for code, status in STATUS.items()]
