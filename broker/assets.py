"""Where templates/ and static/ are: inside the package in a wheel, beside it in a checkout."""

from importlib.resources import files
from pathlib import Path


def locate(name: str, package: Path) -> Path:
    """The folder of that name that belongs to this very package.

    Only the package itself and its own checkout are looked at: another installation on sys.path
    may hold an older copy.
    """
    inside = package / name
    if inside.is_dir():
        return inside
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise RuntimeError(f"broker/{name} is missing from this installation.")


def _package() -> Path:
    package = files("broker")
    if not isinstance(package, Path):
        raise RuntimeError("Broker must be unpacked on disk; it cannot run from a zip file.")  # noqa: TRY004
    return package


TEMPLATES = locate("templates", _package())
STATIC = locate("static", _package())
