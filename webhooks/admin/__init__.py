"""The staff's pages of this app."""

from webhooks.admin import outbound as outbound
