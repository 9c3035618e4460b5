"""How often one address may call."""

import pytest

from broker.oauth.throttle import Throttle, Throttled
from tests.oauth.world import TurnedClock


def test_a_household_of_newer_addresses_is_one() -> None:
    throttle = Throttle(2, TurnedClock())
    throttle.admit("2001:db8:1:2::1")
    throttle.admit("2001:db8:1:2:ffff::2")
    with pytest.raises(Throttled):
        throttle.admit("2001:db8:1:2::3")
    throttle.admit("2001:db8:1:3::1")


def test_what_is_no_address_is_counted_as_it_is() -> None:
    throttle = Throttle(1, TurnedClock())
    throttle.admit("")
    throttle.admit("a")
    with pytest.raises(Throttled):
        throttle.admit("a")
