"""The staff's pages of this app; Django finds them here."""

from billing.admin import subscriptions as subscriptions
