"""Told of events, this process kills itself, once for each argument's worth; each time it is a child that dies.

Run as a program. The parent has no connection of its own, so that nothing but the children's shows.
"""

import os
import signal
import sys
from datetime import timedelta


def try_once() -> None:
    """One try of the subscriber `deadly`, without pauses; it does not return if there was an event to handle."""
    from events import subscribers
    from events.operations import advance

    advance.LONGEST_PAUSE = advance._BEGINS_WITHIN = timedelta(0)
    subscribers.register(
        subscribers.Subscriber("deadly", lambda cur, batch: os.kill(os.getpid(), signal.SIGKILL))
    )
    advance.advance_subscriber(name="deadly")


def main() -> int:
    """Print how many of the tries died."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    died = 0
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            try_once()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status)
    print(died)
    return 0


if __name__ == "__main__":
    sys.exit(main())
