"""The words of the consent page, in its order, as plain text: what a receipt's digest is of."""

from collections.abc import Iterator

from broker.web.consent_device import DeviceBlock
from broker.web.consent_notices import Notice
from broker.web.consent_summary import Line, Row, last_line
from broker.web.consent_view import View
from broker.web.foreign import quoted


def text_of(view: View, device: DeviceBlock | None) -> str:
    """For the terms that were approved; fields and buttons are left out, since the summary says what they came to."""
    return "\n".join(_lines(view, device))


def _lines(view: View, device: DeviceBlock | None) -> Iterator[str]:
    yield from (_noticed(notice) for notice in view.notices)
    yield view.heading
    yield f"{view.address}, {'address verified' if view.verified else 'address not verified'}. {view.facts}"
    if device is not None:
        yield from _of_device(device)
    yield from view.same_limits
    yield from (_compared(row) for row in view.rows)
    yield f"If you approve, {view.app}"
    for block in view.blocks:
        if len(view.blocks) > 1:
            yield block.label
        yield from (f"- {_joined(line)}" for line in block.lines)
    yield f"- {_joined(last_line())}" if view.blocks else "gets nothing new."
    for purpose in view.purposes:
        yield quoted(purpose)
        yield f"The reason given by {view.app}. We have not checked it."
    for other in view.others:
        yield f"{'Keeps' if other.kept else 'Loses'} what it has of {other.label}: {other.said}"
    if not view.verified:
        known = f"I recognise {view.address}" if device is None else f"my device shows {device.code}"
        yield f"Ticked: I started this myself, and {known}"


def _of_device(device: DeviceBlock) -> Iterator[str]:
    yield f"Code on your device: {device.code}. Deny if your device shows something else."
    yield f"Asked {device.ago}{f' from {device.address}' if device.address else ''}."
    if device.claim:
        yield f"The device says it is: {device.claim}. We cannot check this."


def _noticed(notice: Notice) -> str:
    return f"{notice.title}. {notice.text}" if notice.title else notice.text


def _compared(row: Row) -> str:
    return f"{row.limit}. Now: {row.now}. Asked for: {row.asked}. {row.tag}"


def _joined(line: Line) -> str:
    return "".join(piece.text for piece in line).strip()
