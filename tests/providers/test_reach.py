"""Which addresses a person's own server may have (security: what a typed address may make this server reach)."""

import socket
from ipaddress import ip_address

import pytest

from broker.core.inside import read_inside
from broker.providers.origin import Origin
from broker.providers.reach import NotReachable, Reach, is_here

OUTSIDE = Reach(own_hosts=frozenset(["broker.example.com"]), own_port=8080)
HOSTS, NETWORKS = read_inside(("gpu.lan", "ollama", "10.1.0.0/16", "127.0.0.0/8", "fd00::/8", "169.254.0.0/16"))
INSIDE = Reach(HOSTS, NETWORKS, own_port=8080)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://llm.example.com/v1", "https://llm.example.com"),
        ("  https://LLM.Example.com/v1/  ", "https://llm.example.com"),
        ("https://llm.example.com:443/api/openai/v1", "https://llm.example.com/api/openai"),
        ("https://llm.example.com:8443", "https://llm.example.com:8443"),
        ("https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example"),
        ("https://8.8.8.8/v1", "https://8.8.8.8"),
        ("https://[2606:4700::1111]:8443/v1", "https://[2606:4700::1111]:8443"),
    ],
)
def test_a_public_address_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert OUTSIDE.read(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        # of the inside, in every spelling
        "https://127.0.0.1", "https://127.1", "https://0177.0.0.1", "https://0177.1", "https://0x7f.0.0.1",
        "https://0x7f000001", "https://2130706433", "https://017700000001", "https://127.0.0.1.", "https://0", "https://0.0.0.0",
        "https://10.0.0.1", "https://172.16.0.1", "https://192.168.1.1", "https://169.254.169.254", "https://100.64.0.1",
        "https://[::1]", "https://[::]", "https://[::ffff:127.0.0.1]", "https://[::ffff:7f00:1]", "https://[::127.0.0.1]",
        "https://[fd00::1]", "https://[fe80::1]", "https://[fe80::1%25eth0]", "https://[2002:7f00:1::]", "https://[64:ff9b::7f00:1]",
        "https://[64:ff9b:1::7f00:1]", "https://[2606:4700:0:0:0:0:0:1111]", "https://[::ffff:8.8.8.8]",
        "https://localhost", "https://localhost.", "https://LOCALHOST", "https://ollama", "https://gpu.lan.",
        "https://127.0.0.1.nip.io.", "https://1.2.3", "https://example.0x7f", "https://a..example.com", "https://-a.example.com",
        # what two readers could understand in two ways
        "https://good.example#@evil.example", "https://good.example\\@evil.example", "https:///evil.example", "https:/evil.example",
        "https://good.example\t.evil.example", "https://good.example%00.evil.example", "https://bücher.example",
        "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "https://example。com", "https://exa\u00admple.com", "https://good.example /v1",
        "//llm.example.com", "llm.example.com", "llm.example.com:443/v1", "", " ", "https://", "https://:443",
        # other ways, and parts that no address of a server has
        "http://llm.example.com", "HTTP://llm.example.com/v1", "file:///etc/passwd", "gopher://llm.example.com", "ftp://llm.example.com",
        "unix:///run/docker.sock", "javascript:alert(1)", "wss://llm.example.com", "https+unix://llm.example.com",
        "https://user@llm.example.com", "https://user:password@llm.example.com", "https://@llm.example.com", "https://:@llm.example.com",
        "https://llm.example.com?key=1", "https://llm.example.com/?", "https://llm.example.com/#a", "https://llm.example.com/a/../b",
        "https://llm.example.com/./a", "https://llm.example.com//a", "https://llm.example.com/%2e%2e/a", "https://llm.example.com/a;b",
        "https://llm.example.com/a\\b", "https://llm.example.com/'", "https://llm.example.com/" + "a" * 200,
        # ports of other services
        "https://llm.example.com:0", "https://llm.example.com:22", "https://llm.example.com:25", "https://llm.example.com:80",
        "https://llm.example.com:444", "https://llm.example.com:1023", "https://llm.example.com:6379", "https://llm.example.com:5432",
        "https://llm.example.com:65536", "https://llm.example.com:99999999999", "https://llm.example.com:-1", "https://llm.example.com:",
        "https://llm.example.com:４４３", "https://llm.example.com:443:443",
        # this server itself
        "https://broker.example.com", "https://BROKER.example.com:8443/proxy/openai-compatible",
    ],
)  # fmt: skip
def test_any_other_address_is_refused_before_anything_is_looked_up(typed: str) -> None:
    with pytest.raises(NotReachable):
        OUTSIDE.read(typed)


@pytest.mark.parametrize("host", ["llm.example.com", "localtest.me"])
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.31.0.1", "192.168.0.1", "169.254.169.254", "169.254.170.2",
        "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
        "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1", "2002:7f00:1::", "2001::1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "not an address", "",
    ],
)  # fmt: skip
def test_a_name_that_leads_inside_is_not_reached(host: str, address: str) -> None:
    assert not OUTSIDE.admits(Origin("https", host, 443), address)


def test_a_name_that_leads_to_a_public_address_is_reached_by_https_alone() -> None:
    assert OUTSIDE.admits(Origin("https", "llm.example.com", 443), "8.8.8.8")
    assert OUTSIDE.admits(Origin("https", "llm.example.com", 443), "2606:4700::1111")
    assert not OUTSIDE.admits(Origin("http", "llm.example.com", 80), "8.8.8.8")
    assert not INSIDE.admits(Origin("http", "llm.example.com", 80), "8.8.8.8"), "whatever is open inside"


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("http://gpu.lan:8000/v1", "192.168.7.7"), ("https://gpu.lan", "192.168.7.7"), ("http://ollama:11434", "172.18.0.5"),
        ("http://10.1.2.3:8000", "10.1.2.3"), ("http://127.0.0.1:11434/v1", "127.0.0.1"), ("http://[fd00::5]:8000", "fd00::5"),
        ("http://name.example.com:8000", "10.1.2.3"),
    ],
)  # fmt: skip
def test_what_the_operator_opens_inside_is_reached_without_https_too(typed: str, address: str) -> None:
    scheme, _, rest = INSIDE.read(typed).partition("://")
    host, port = rest.rstrip("/").rsplit(":", 1) if rest.rstrip("]").rpartition(":")[2].isdigit() else (rest, "443")
    assert INSIDE.admits(Origin(scheme, host.strip("[]"), int(port)), address)


@pytest.mark.parametrize(
    "typed", ["http://10.2.0.1:8000", "http://192.168.7.7:8000", "http://other:8000", "http://gpu.lan:22"]
)
def test_what_the_operator_did_not_open_stays_shut(typed: str) -> None:
    with pytest.raises(NotReachable):
        INSIDE.read(typed)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "::", "10.2.0.1"],
)
def test_the_secrets_of_a_machine_and_other_networks_stay_shut_whatever_is_open(address: str) -> None:
    assert not INSIDE.admits(Origin("http", "some.example.com", 8000), address)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fd00:ec2::254%eth0", "fe80::1%lo"])
def test_the_secrets_of_a_machine_stay_shut_by_the_name_of_an_open_host_too(address: str) -> None:
    assert not INSIDE.admits(Origin("http", "gpu.lan", 80), address)


def test_this_server_is_not_reached_by_its_port_where_its_machine_is_open() -> None:
    assert INSIDE.admits(Origin("http", "127.0.0.1", 11434), "127.0.0.1")
    assert not INSIDE.admits(Origin("http", "127.0.0.1", 8080), "127.0.0.1")
    assert not INSIDE.admits(Origin("http", "gpu.lan", 8080), "127.0.0.5")


def test_an_address_of_this_machine_is_known_without_sending_anything() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        assert is_here(ip_address("127.0.0.1"))
    assert not is_here(ip_address("192.0.2.77"))


@pytest.mark.parametrize(
    "word", ["", "-", "a b", "10.0.0.1/8", "10.0.0.0/33", "gpu.lan:8000", "https://gpu.lan", "1.2.3"]
)
def test_what_is_neither_a_host_nor_a_network_is_not_opened(word: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        read_inside((word,))
