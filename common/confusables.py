"""Names that look alike: the form in which two of them are compared, so that nobody poses as a neighbour.

Not the whole table of Unicode TS 39: compatibility folding, case, separators, and the letters and digits of
the scripts that are used to imitate Latin ones. Accents count: they can be seen.
"""

from __future__ import annotations

import unicodedata

_CYRILLIC = dict(zip("аберіјкмнорстухѕԁԛԝһӏ", "a6epijkmhopctyxsdqwhl", strict=True))
_GREEK = dict(zip("αβεηικνοπρτυχω", "abenikvonptuxw", strict=True))
_LATIN = {"ı": "l", "ɑ": "a", "ɡ": "g", "0": "o", "1": "l", "i": "l", "|": "l"}
_SEPARATORS = dict.fromkeys(" _.:/", "-")
_SCRIPTS = str.maketrans({**_CYRILLIC, **_GREEK})
_LOOKS = str.maketrans({**_LATIN, **_SEPARATORS})


def skeleton(text: str) -> str:
    """The form that two names share when a person could take one for the other.

    It is compared and stored, never shown.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    latin = folded.translate(_SCRIPTS).translate(_LOOKS)
    return latin.replace("rn", "m").replace("vv", "w")
