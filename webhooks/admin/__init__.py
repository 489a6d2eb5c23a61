"""The staff's pages of this app; Django finds them here."""

from webhooks.admin import inbound as inbound
from webhooks.admin import outbound as outbound
from webhooks.admin import reconciling as reconciling
