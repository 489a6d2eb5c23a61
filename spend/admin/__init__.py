"""The staff's pages of this app; Django finds them here."""

from spend.admin import approvals as approvals
from spend.admin import gate as gate
from spend.admin import prices as prices
from spend.admin import ratelimits as ratelimits
from spend.admin import runpolicies as runpolicies
from spend.admin import switches as switches
from spend.admin import uncapped as uncapped
from spend.admin import velocity as velocity
