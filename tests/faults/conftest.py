"""The small project of the command line, which faults strike too."""

from tests.cli.conftest import _loaded, loaded, project

__all__ = ["_loaded", "loaded", "project"]
