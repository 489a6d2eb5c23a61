#!/usr/bin/env python3
"""Django's command line for Counterfoil."""

import os
import sys


def main() -> None:
    """Run a management command with the limits of a command: no statement timeout."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import process

    process.declare("command")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
