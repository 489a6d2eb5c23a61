"""Whether a contract's prices of plans' charges can be charged."""

from billing.queries.plans import newest_charge
from billing.rules.agreed import misfits
from billing.rules.contracts.pricing import CHARGE
from billing.rules.contracts.terms import ContractTerms
from common.errors import ProblemError, combined
from common.ids import new_id
from events.store import Cursor


class ChargeUnknown(ProblemError):
    """No plan that was ever on sale has this charge."""

    code = "charge_unknown"
    status = 422
    title = "Charge unknown"


def require_chargeable(cur: Cursor, terms: ContractTerms) -> None:
    """This function will refuse a contract that prices a charge which no plan has, or otherwise than a plan could, all
    mistakes at once, each with its place. It is read like a price of the newest version that has the charge.

    Raises ChargeUnknown, InvalidField, InvalidAmount and MeterUnusable.
    """
    wrong: list[ProblemError] = []
    for place, price in enumerate(terms.prices):
        if price.kind != CHARGE:
            continue
        pointer = f"/definition/prices/{place}"
        charge = newest_charge(cur, price.given["plan"], price.given["charge"])
        if charge is None:
            wrong.append(ChargeUnknown(pointer=f"{pointer}/charge"))
        else:
            wrong += misfits(charge, price.agreed(new_id(), 1, terms.currency), pointer)
    if wrong:
        raise combined(wrong)
