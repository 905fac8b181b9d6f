"""The door for people and scripts: `lakehouse <command>`."""

import os

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking through all installed packages for plugins costs a short run dearly
