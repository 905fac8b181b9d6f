"""The door for people and scripts: `lakehouse <command>`."""

import gc
import os

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking through all installed packages for plugins costs a short run dearly
gc.set_threshold(50_000, 20, 20)  # imports make objects that stay: looking through them again and again is a tenth of a short run
