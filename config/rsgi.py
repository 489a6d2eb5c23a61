"""The entry point of web: Granian runs `application` (RSGI) on one event loop per process.

The apps are loaded, because they register the projectors of the events that the gate appends; neither the ORM nor the
framework is on any path of this process.
"""

import os

import django

from config import process

process.declare("web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from config.entry import refuse_a_wrong_start  # noqa: E402  (needs the apps)
from config.web import Web  # noqa: E402

refuse_a_wrong_start()
application = Web()
