"""A head that came before with another token is the same head: a library writes one for all who use it."""

import pytest

from broker.serve.http1_known import LONGEST, see
from tests.serve.http1.served import served
from tests.serve.http1.test_known_heads import Remembering, post


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer %b\r\n", b"x-api-key: %b\r\n", b"X-Goog-Api-Key: %b\r\n", b"Authorization:Bearer %b\r\n",
        b"authorization: \tbearer %b\r\n", b"x-api-key:%b\r\n", b"x-goog-api-key:\t%b\r\n",
    ],
)  # fmt: skip
async def test_a_head_is_known_with_another_token(line: bytes) -> None:
    app = Remembering()
    async with served(app) as server:
        client = await server.connect()
        await client.ask(post(b"one", line % b"first", b"Accept: a\r\n"))
        for token in (b"second.of~its+own/kind==", b"t"):
            assert (await client.ask(post(b"two", line % token, b"Accept: a\r\n"))).body == b"begun"
    assert app.tokens == [b"second.of~its+own/kind==", b"t"]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer a b\r\n", b"Authorization: Bearer \xe9\r\n", b"Authorization: Bearer a\tb\r\n",
        b"Authorization: Bearer  a\r\n", b"Authorization: DPoP a\r\n", b"Authorization: Bearer %b\r\n" % (b"a" * 4097),
    ],
)  # fmt: skip
async def test_what_is_no_plain_token_is_read(line: bytes) -> None:
    app = Remembering()
    async with served(app) as server:
        client = await server.connect()
        await client.ask(post(b"one", b"Authorization: Bearer a\r\n"))
        assert (await client.ask(post(b"two", line))).body == b"read"


@pytest.mark.parametrize("inside", [b"a\nx: b", b"a\rb", b"a\0b", b"a\x7fb"])
def test_what_no_token_may_hold_is_left_to_the_parser(inside: bytes) -> None:
    assert see(post(b"x", b"Authorization: Bearer %b\r\n" % inside)) is None


async def test_a_very_long_head_is_read_each_time() -> None:
    app, long = Remembering(), b"User-Agent: %b\r\n" % (b"a" * LONGEST)
    async with served(app) as server:
        client = await server.connect()
        for _ in range(2):
            assert (await client.ask(post(b"one", long))).body == b"read"


def test_a_name_says_where_the_token_stood() -> None:
    """As little can be moved from a token into what stands beside it."""
    token, beside = b"Authorization: Bearer a\r\n", b"x-api-key: a\r\n"
    orders: tuple[list[bytes], ...] = ([token, beside], [beside, token], [token], [beside], [])
    names = [found.name for lines in orders if (found := see(post(b"x", *lines))) is not None]
    assert len(set(names)) == len(orders)
