"""How much of a proof is tried: all of it with FULL=1, a part of it in CI, where each run draws another part."""

import os
from typing import Final

IS_FULL: Final = bool(os.environ.get("FULL"))


def some(all_of_them: int) -> int:
    """The third of so many examples, unless all are asked for."""
    return all_of_them if IS_FULL else max(1, all_of_them // 3)
