"""One is singular, everything else plural."""

from broker.core.counted import counted, of_number


def test_a_number_agrees_with_its_noun() -> None:
    assert counted(1, "request") == "1 request"
    assert counted(0, "request") == "0 requests"
    assert counted(1000, "request") == "1,000 requests"
    assert counted(2, "capability", "capabilities") == "2 capabilities"
    assert (of_number(1, "entry", "entries"), of_number(2, "entry", "entries")) == ("entry", "entries")
