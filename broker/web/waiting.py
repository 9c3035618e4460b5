"""How long someone has to wait, said truly: rounded up to the minute, with the time it ends."""

from broker.core.clock import MINUTE, SECOND
from broker.core.counted import counted
from broker.core.money import ceil_div
from broker.identity.throttle import Wait
from broker.web import messages, words


def sentence(wait: Wait, now: int, zone: str = "UTC") -> str:
    minutes = max(1, ceil_div(wait.until - now, MINUTE))
    # The minute after: at the time that is named, it is over.
    until = ceil_div(wait.until, MINUTE) * MINUTE
    return messages.too_many_tries(counted(minutes, "minute"), words.clock_time(until, zone))


def retry_after(wait: Wait, now: int) -> dict[str, str]:
    return {"retry-after": str(max(1, ceil_div(wait.until - now, SECOND)))}
