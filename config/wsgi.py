"""The entry point of app: Django behind web, under Granian or gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from config import process

process.declare("app")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config.entry import refuse_a_wrong_start  # noqa: E402  (needs the apps)

refuse_a_wrong_start()
