"""Which person stands behind an actor: two logins of one person are one, an API key is nobody."""

from typing import Final

from events.store import Cursor

# A member's key stands for the member's login, where there is one; logins with the same e-mail are one person.
_KEY: Final = """
SELECT p.user_id, p.email FROM api_keys k JOIN member_profiles p ON p.member_id = k.member_id WHERE k.id::text = %s
"""
_LOGIN: Final = "SELECT email FROM auth_user WHERE id::text = %s"


def person_of(cur: Cursor, actor: str) -> str | None:
    """Return what tells a person apart, the same for all logins of one; None for a key without a member or a job.

    It is made of personal data: compare it, never store it.
    """
    kind, _, name = actor.partition(":")
    if kind == "staff":
        return _person_of_login(cur, name)
    if kind != "key":
        return None
    row = cur.execute(_KEY, (name,)).fetchone()
    if row is None:
        return None
    user, email = row
    if user is not None:
        return _person_of_login(cur, str(user))
    return _by_email(email) or None


def _person_of_login(cur: Cursor, user: str) -> str:
    row = cur.execute(_LOGIN, (user,)).fetchone()
    return (_by_email(row[0]) if row else None) or f"login:{user}"


def _by_email(email: str) -> str | None:
    folded = email.strip().casefold()
    return f"email:{folded}" if folded else None
