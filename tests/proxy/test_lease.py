"""A worker that was stopped for longer than its lease, as by a laptop that slept."""

from tests.proxy.world import World


async def test_it_refuses_until_it_has_another_lease_and_then_works_again(world: World) -> None:
    token = await world.token()
    world.clock.turn(3600)
    assert (await world.call(token)).status == 503
    await world.service._renew()
    assert (await world.call(token)).status == 200
    assert {row.mark for row in await world.at_rest()} == {"reported"}
    assert (await world.verified()).startswith("OK")


async def test_a_lease_that_is_good_is_renewed_and_not_replaced(world: World) -> None:
    lease = world.service._lease
    boot = lease.boot_id
    await world.service._renew()
    assert (lease.boot_id, lease.is_good) == (boot, True)
