"""`python -m photoguard`, the command where its script is not on the path."""

from photoguard.cli.main import run

if __name__ == "__main__":
    run()
