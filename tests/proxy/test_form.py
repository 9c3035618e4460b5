"""Bodies in parts have one reading only, and what is sent on is written anew."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import CallRefused
from broker.providers.form import File, FormRule, Texts, rendered_form
from broker.proxy.form import clean_kind, clean_name, parse_form

RULE = FormRule(
    files={"file": 1, "image": 2}, lists=frozenset(["include"]), numbers=frozenset(["n"]), flags=frozenset(["stream"])
)
TYPE = b"multipart/form-data; boundary=xyz"


def part(head: str, data: bytes = b"x") -> bytes:
    return b"--xyz\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def text(name: str, value: str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value.encode())


def file(name: str, told: str = "a.mp3", kind: str = "audio/mpeg", data: bytes = b"sound") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"; filename="{told}"\r\nContent-Type: {kind}', data)


END = b"--xyz--\r\n"
MODEL = text("model", "whisper-1")


def test_texts_are_what_they_stand_for_in_json() -> None:
    raw = MODEL + text("n", "2") + text("stream", "true") + text("include[]", "a") + text("include", "b") + END
    form = parse_form(raw, TYPE, RULE)
    assert form.body == {"model": "whisper-1", "n": 2, "stream": True, "include": ["a", "b"]}
    assert parse_form(text("n", "2.5") + text("stream", "1") + END, TYPE, RULE).body == {"n": "2.5", "stream": "1"}


def test_the_last_line_break_may_be_missing() -> None:
    assert parse_form(MODEL + b"--xyz--", TYPE, RULE).body == {"model": "whisper-1"}


def test_files_keep_their_bytes_under_a_clean_name() -> None:
    raw = (
        file("file", "../../etc/pass wd\u00fc.mp3", data=b"\x00\r\n--xy\xff") + file("image[]") + file("image[]") + END
    )
    form = parse_form(raw, TYPE, RULE)
    assert form.files["file"] == (File("pass_wd_.mp3", "audio/mpeg", b"\x00\r\n--xy\xff"),)
    assert len(form.files["image"]) == 2
    assert form.file_bytes == 8 + 5 + 5


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        END,
        MODEL,
        b"preamble\r\n" + MODEL + END,
        MODEL + END + b"more",
        MODEL + END + MODEL + END,
        MODEL + MODEL + END,
        MODEL + text("model[]", "gpt-4o-transcribe") + END,
        file("file") + file("file") + END,
        file("image") * 3 + END,
        file("stranger") * 2 + END,
        text("", "x") + END,
        text("a b", "x") + END,
        text('a"; x="', "x") + END,
        part('Content-Disposition: attachment; name="a"') + END,
        part("Content-Type: text/plain") + END,
        part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', b"eA==") + END,
        part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"') + END,
        part('Content-Disposition: form-data; name="a"', b"\xff") + END,
        part('Content-Disposition: form-data; name="a"\r\n' + "X: y\r\n" * 9 + "Z: z") + END,
        part('Content-Disposition: form-data; name="' + "a" * 2000 + '"') + END,
        MODEL.replace(b"\r\n", b"\n") + END,
        b"".join(text(f"a{n}", "x") for n in range(200)) + END,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(CallRefused) as refused:
        parse_form(raw, TYPE, RULE)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=xyz; boundary=abc",
        b"multipart/form-data; charset=utf-7; boundary=xyz",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b'multipart/form-data; boundary="x\r\nyz"',
    ],
)
def test_a_boundary_that_cannot_be_read_is_refused(content_type: bytes) -> None:
    with pytest.raises(CallRefused):
        parse_form(MODEL + END, content_type, RULE)


def test_a_name_or_a_kind_can_carry_nothing_into_a_header() -> None:
    assert clean_name('a"\r\nx: y.mp3') == "a_x_y.mp3"
    assert clean_name("C:\\sounds\\..") == "file"
    assert clean_name("") == "file"
    assert len(clean_name("a" * 500 + ".wav")) == 100
    assert clean_kind("audio/mpeg") == "audio/mpeg"
    assert clean_kind('audio/x"\r\n') == clean_kind(None) == "application/octet-stream"


_NAMES = st.from_regex(re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,10}", re.ASCII), fullmatch=True)


@given(
    st.dictionaries(_NAMES.filter(lambda name: name not in ("n", "stream", "include")), st.text(), max_size=4),
    st.integers(min_value=0, max_value=999),
    st.booleans(),
    st.lists(st.text(), min_size=1, max_size=3),
    st.binary(max_size=300),
)
def test_what_is_sent_is_read_again_as_the_same(
    texts: dict[str, str], number: int, flag: bool, several: list[str], data: bytes
) -> None:
    body: Texts = {**texts, "n": number, "stream": flag, "include": list(several)}
    files = {"file": (File("a.wav", "audio/wav", data),)}
    content_type, raw = rendered_form(body, files)
    form = parse_form(raw, content_type, RULE)
    assert (form.body, form.files) == (body, files)
