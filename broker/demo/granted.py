"""What was granted, in words for the demo page."""

from datetime import UTC, datetime
from typing import Any


def in_words(access: dict[str, Any]) -> list[tuple[str, str]]:
    """Pairs of a name and a value for one granted object of `authorization_details`."""
    rows = [("Provider", str(access["provider"])), ("Models", ", ".join(access["models"]))]
    if budget := access.get("budget"):
        each = "" if budget.get("per", "grant") == "grant" else f" a {budget['per']}"
        rows.append(("Spending limit", f"${budget['amount']}{each}"))
    if requests := access.get("max_requests"):
        rows.append(("Requests", f"{requests} in all"))
    if a_minute := (access.get("rate_limit") or {}).get("requests_per_minute"):
        rows.append(("Speed", f"{a_minute} request{'' if a_minute == 1 else 's'} a minute"))
    if end := access.get("expires_at"):
        at = datetime.fromtimestamp(end, UTC)
        rows.append(("Until", f"{at.day} {at:%B %Y, %H:%M} UTC"))
    return rows
