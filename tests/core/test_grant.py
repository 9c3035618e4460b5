import pytest

from broker.core.grant import LIVE, MOVES, GrantEvent, GrantState, sources, state_at, target


def test_every_state_is_in_the_table_and_every_move_leads_into_it() -> None:
    assert set(MOVES) == set(GrantState)
    assert {new for moves in MOVES.values() for new in moves.values()} <= set(GrantState)


@pytest.mark.parametrize("event", list(GrantEvent))
def test_the_sources_of_an_event_are_the_states_it_moves(event: GrantEvent) -> None:
    assert set(sources(event)) == {state for state in GrantState if target(state, event) is not None}
    assert len({target(state, event) for state in sources(event)}) == 1


@pytest.mark.parametrize("state", [GrantState.REVOKED, GrantState.EXPIRED])
def test_nothing_leads_out_of_an_end(state: GrantState) -> None:
    assert all(target(state, event) is None for event in GrantEvent)
    assert state not in LIVE


def test_a_live_grant_can_always_be_ended() -> None:
    for state in LIVE:
        assert target(state, GrantEvent.REVOKE) is GrantState.REVOKED
        assert target(state, GrantEvent.EXPIRE) is GrantState.EXPIRED


def test_a_frozen_grant_is_only_unfrozen_never_resumed() -> None:
    assert target(GrantState.FROZEN, GrantEvent.RESUME) is None
    assert target(GrantState.FROZEN, GrantEvent.PAUSE) is None
    assert target(GrantState.FROZEN, GrantEvent.UNFREEZE) is GrantState.ACTIVE


@pytest.mark.parametrize("state", list(GrantState))
def test_a_live_grant_past_its_end_is_expired_swept_or_not(state: GrantState) -> None:
    assert state_at(state.value, 10, 9) is state
    assert state_at(state.value, 10, 10) is (GrantState.EXPIRED if state in LIVE else state)
