"""How what a person says of a subscription is read, in bodies and in forms. Pure."""

from __future__ import annotations

from billing.rules.plans import MAX_CHARGES
from billing.rules.subscriptions.fees import MAX_QUANTITY
from common import fields
from common.errors import InvalidField, ProblemError, combined
from common.strictjson import child_pointer


def quantities(value: object, *, pointer: str = "") -> dict[str, int]:
    """Return whole quantities by charge. Raises InvalidField and InvalidText for everything wrong."""
    if not isinstance(value, dict) or len(value) > MAX_CHARGES:
        raise InvalidField(f"This is no object of at most {MAX_CHARGES} quantities.", pointer=pointer)
    found, wrong = {}, []
    for name, count in value.items():
        place = child_pointer(pointer, name)
        try:
            found[fields.key(name, pointer=place)] = fields.integer(
                count, minimum=0, maximum=MAX_QUANTITY, pointer=place
            )
        except ProblemError as error:
            wrong.append(error)
    if wrong:
        raise combined(wrong)
    return found
