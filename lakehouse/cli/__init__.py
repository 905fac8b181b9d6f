"""The door for people and scripts: `lakehouse <command>`."""
