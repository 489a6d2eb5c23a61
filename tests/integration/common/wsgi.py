"""The example API as a server runs it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = "tests.unit.common.api.example"
settings.API_AUTHENTICATOR = "tests.unit.common.api.example.authenticate"
application = get_wsgi_application()
