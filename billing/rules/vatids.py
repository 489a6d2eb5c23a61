"""VAT ids: whether one can exist, by its form and check digits. Whether it does, only its register knows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stdnum.ch import vat as ch_vat
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as gb_vat
from stdnum.no import mva as no_mva

_LONGEST: Final = 32
_SEPARATORS: Final = str.maketrans("", "", " -./")
_PREFIX_COUNTRY: Final = {"EL": "GR", "XI": "GB"}  # of all others the prefix is the country's code
_OUTSIDE_THE_EU: Final[dict[str, Callable[[str], str]]] = {
    "CH": ch_vat.validate, "GB": gb_vat.validate, "NO": no_mva.validate,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VatId:
    """The id as it is written on a document, with its prefix, and the country that gave it."""

    text: str
    country: str


def check_vat_id(text: object) -> VatId | None:
    """Return the id, or None when no register can know it. Separators and small letters are taken.

    Ids of the EU's one-stop shop (EU…, IM…) name no country and are none of a customer.
    """
    if type(text) is not str or not text.isascii() or len(text) > _LONGEST:
        return None
    plain = text.upper().translate(_SEPARATORS)
    prefix = plain[:2]
    try:
        if prefix in _OUTSIDE_THE_EU:
            number = _OUTSIDE_THE_EU[prefix](plain).removeprefix(prefix)
        elif prefix == "EL" or (prefix.lower() in eu_vat.MEMBER_STATES and prefix != "GR"):
            number = eu_vat.validate(plain).removeprefix(prefix)
        else:
            return None
    except ValidationError:
        return None
    return VatId(prefix + number, _PREFIX_COUNTRY.get(prefix, prefix))
