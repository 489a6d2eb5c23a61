"""Fractions and decimals that are made quickly.

Hypothesis' own draw their parts one from the other, which under load takes so long that its health check fails.
"""

from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st


def fractions(most: int, *, max_denominator: int) -> st.SearchStrategy[Fraction]:
    """Fractions of [0, most]: a whole number and a proper fraction, each part drawn by itself."""
    parts = st.tuples(st.integers(0, most), st.integers(0, max_denominator), st.integers(1, max_denominator))
    return parts.map(lambda drawn: min(drawn[0] + Fraction(drawn[1] % drawn[2], drawn[2]), Fraction(most)))


def shares(max_denominator: int) -> st.SearchStrategy[Fraction]:
    """Fractions of [0, 1]."""
    parts = st.tuples(st.integers(0, max_denominator), st.integers(1, max_denominator))
    return parts.map(lambda drawn: Fraction(min(drawn), max(drawn)))


def decimals(most: int, *, places: int) -> st.SearchStrategy[str]:
    """Texts of decimal numbers of [0, most]."""
    return st.integers(0, most * 10**places).map(lambda units: f"{Decimal(units).scaleb(-places):f}")
