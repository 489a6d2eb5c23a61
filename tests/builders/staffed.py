"""People of the staff with some permissions, and the forms that they send."""

import secrets
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission, User
from django.test import Client


def staff(*permissions: str) -> tuple[User, Client]:
    """Somebody with these permissions, and a browser in which they are logged in."""
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def operator(model: str, *more: str) -> tuple[User, Client]:
    """Somebody who may add and change objects of a kind."""
    return staff(f"view_{model}", f"add_{model}", f"change_{model}", *more)


def form(**said: Any) -> dict[str, str]:
    """A form as a browser sends it, with a key of its own; None is a box that is not ticked."""
    sent = {name: str(value) for name, value in said.items() if value is not None}
    return {"form_key": str(uuid4()), **sent}


def words(answer: Any) -> str:
    """The page of an answer."""
    text: str = answer.content.decode()
    return text.replace("&quot;", '"').replace("&#x27;", "'").replace("&amp;", "&")


def shown_in(answer: Any) -> str:
    """What a page's hidden field says was shown on it: nothing is saved before."""
    text = words(answer)
    assert "Nothing is saved yet." in text
    return text.split('name="shown" value="')[1].split('"')[0]
