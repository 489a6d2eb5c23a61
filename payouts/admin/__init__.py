"""The marketplace as the staff sees it."""

from payouts.admin import partners as partners
from payouts.admin import paying as paying
