"""The suites that come with the package, one TOML file each."""

from importlib.resources import files


def suite_names() -> list[str]:
    """Their names; nothing is read."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml")
    )
