"""The marketplace as the staff sees it."""

from payouts.admin import partners as partners
