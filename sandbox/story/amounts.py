"""Money of the story: what the API writes as text, as integers in units of 10^-8. No floats."""

UNIT_DECIMALS = 8
UNITS_PER_MAJOR: int = 10**UNIT_DECIMALS


def units(text: str) -> int:
    """Return the units of a plain decimal string, such as "-0.01234567". Raises ValueError for anything finer."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, decimals = digits.partition(".")
    if not whole.isdecimal() or len(decimals) > UNIT_DECIMALS or not (decimals or "0").isdecimal():
        raise ValueError(f"{text!r} is not an amount of money")
    return sign * int(whole + decimals.ljust(UNIT_DECIMALS, "0"))


def money(amount: int) -> str:
    """Return an amount with all of its decimals, to the last unit: 1.97718000."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), UNITS_PER_MAJOR)
    return f"{sign}{whole:,}.{rest:0{UNIT_DECIMALS}d}"


def plain(amount: int) -> str:
    """Return an amount as requests and documents write it: at least two decimals, no more than it takes."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), UNITS_PER_MAJOR)
    decimals = f"{rest:0{UNIT_DECIMALS}d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"
