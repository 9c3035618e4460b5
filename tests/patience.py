"""How long a test waits for what is promised within seconds."""

import os


def promised(seconds: float, *, beside_others: float) -> float:
    """What is promised, in `make prove`; elsewhere the suite shares its machine with browsers, races and whoever else runs there."""
    return seconds if os.environ.get("PROOF") else beside_others
