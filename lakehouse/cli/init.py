"""`lakehouse init`: the folder of a new project, and what to do in it first."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.options import Output, Project
from lakehouse.cli.output import Format, print_json, say

NEXT = """\
What to do next:
  {enter}export LAKEHOUSE_CONNECTION__SHOP=postgresql://user:password@host:5432/shop   # or put it into .env; or sqlite:///path/to/file.db
  lakehouse doctor                   # is all set up?
  lakehouse discover shop            # what is in the database, and how it could be read
  lakehouse discover shop --write    # a file for each table
  lakehouse run
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder; it may be new.", show_default="here")] = Path(),
    project: Project = Path(),
    output: Output = Format.TEXT,
) -> None:
    """Make the folder of a new project; refuses where there is one already."""
    from lakehouse.pipeline.skeleton import KEPT_OUT, make_project

    place = (project / folder).resolve()
    made, left = make_project(place)
    if output is Format.JSON:
        print_json({"project": str(place), "made": made, "left": left})
        return
    sys.stdout.write(f"Made a project in {place}:\n" + "".join(f"  {name}\n" for name in made))
    for name in left:
        sys.stdout.write(f"Left as it is: {name}\n")
    if ".gitignore" in left:
        say(f"Warning: see that .gitignore has the lines {' and '.join(KEPT_OUT)}: secrets and data stay out of git.")
    sys.stdout.write(NEXT.format(enter="" if place == Path.cwd() else f"cd {shlex.quote(str(place))}\n  "))
