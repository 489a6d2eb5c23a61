"""A web that hangs up much sooner on whoever does not read a stream."""

import config.rsgi  # noqa: F401  (sets the process up)
from config.web import Web

application = Web(slow_seconds=2)
