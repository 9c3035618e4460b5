"""Templates and static files are found, and travel in the wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from broker import assets

CHECKOUT = Path(__file__).parents[1]


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def test_a_checkout_uses_its_own_folders() -> None:
    assert (assets.TEMPLATES, assets.STATIC) == (CHECKOUT / "templates", CHECKOUT / "static")


@pytest.mark.parametrize("folder", ["templates", "static"])
def test_the_wheel_carries_every_asset_and_nothing_else(wheel: Path, folder: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("broker/") for name in archive.namelist() if name.startswith(f"broker/{folder}/")}
    assert packed == _names(CHECKOUT / folder)
    assert packed


def test_the_wheel_carries_what_the_modules_read_beside_them(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    beside = {name for name in _names(CHECKOUT / "broker") if "__pycache__" not in name and not name.endswith(".pyc")}
    assert beside <= packed


def test_an_unpacked_wheel_finds_its_folders_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    said = subprocess.run(
        [sys.executable, "-c", "from broker import assets; print(assets.TEMPLATES, assets.STATIC)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == [str(tmp_path / "broker" / "templates"), str(tmp_path / "broker" / "static")]


def test_a_folder_beside_an_installed_package_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "broker").mkdir()
    with pytest.raises(RuntimeError, match="broker/templates is missing"):
        assets.locate("templates", tmp_path / "broker")
