"""`python -m lakehouse` is the command line."""

from lakehouse.cli.main import program

if __name__ == "__main__":
    program()
