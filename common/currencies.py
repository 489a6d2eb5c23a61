"""The currencies of ISO 4217 that are in use, each with its number of decimals.

Left out on purpose: XXX and XTS, precious metals, units of account of banks and funds (BOV, CHE, CHW, CLF,
COU, MXV, USN, UYI, UYW, XDR, XSU, XUA): nobody is invoiced in them. Codes are never removed while a stored
object names them.
"""

from __future__ import annotations

from types import MappingProxyType

from common.errors import InvalidCurrency

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_WITH_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG
HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED
VES WST XCD XCG YER ZAR ZMW ZWG
"""

EXPONENTS: MappingProxyType[str, int] = MappingProxyType(
    dict.fromkeys(_WITHOUT_DECIMALS.split(), 0)
    | dict.fromkeys(_WITH_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_WITH_THREE_DECIMALS.split(), 3)
)


def exponent_of(currency: str) -> int:
    """The number of decimals of a currency. Raises InvalidCurrency for a code that is not in the table."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise InvalidCurrency from None


def parse_currency(value: object) -> str:
    """The code, when it is exactly one of the table: three upper-case letters. Raises InvalidCurrency."""
    if type(value) is str and value in EXPONENTS:
        return value
    raise InvalidCurrency
