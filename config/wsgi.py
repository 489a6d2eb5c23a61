"""The web server's entry point (Granian or gunicorn)."""

import os

from django.core.wsgi import get_wsgi_application

from config import process

process.declare("web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config.entry import refuse_a_wrong_start  # noqa: E402  (needs the apps)

refuse_a_wrong_start()
