"""What is drawn is the code, module by module."""

import re

import segno

from broker.qr import square_of

ADDRESS = "https://broker.example/device?user_code=WDJB-MJHT"


def test_the_path_fills_each_dark_module_and_no_other() -> None:
    square = square_of(ADDRESS)
    drawn = [[0] * square.side for _ in range(square.side)]
    runs = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", square.dark)
    assert "".join(f"M{x} {y}h{width}v1h-{back}z" for x, y, width, back in runs) == square.dark
    for x, y, width, back in (map(int, run) for run in runs):
        assert width == back
        drawn[y][x : x + width] = [1] * width
    known = segno.make(ADDRESS, micro=False, error="m").matrix
    assert [row[4:-4] for row in drawn[4:-4]] == [list(row) for row in known]


def test_there_is_a_quiet_zone_of_four_modules_around_it() -> None:
    square = square_of(ADDRESS)
    places = [(int(x), int(y), int(width)) for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)", square.dark)]
    assert min(x for x, _, _ in places) == min(y for _, y, _ in places) == 4
    assert max(x + width for x, _, width in places) == max(y for _, y, _ in places) + 1 == square.side - 4
