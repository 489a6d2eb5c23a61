"""The staff's pages of this app; Django finds them here."""

from billing.admin import autotopups as autotopups
from billing.admin import catalog as catalog
from billing.admin import commands as commands
from billing.admin import contracts as contracts
from billing.admin import coupons as coupons
from billing.admin import cycles as cycles
from billing.admin import dunning as dunning
from billing.admin import entitlements as entitlements
from billing.admin import invoiced as invoiced
from billing.admin import invoices as invoices
from billing.admin import items as items
from billing.admin import metering as metering
from billing.admin import mirroring as mirroring
from billing.admin import payments as payments
from billing.admin import plans as plans
from billing.admin import revenue as revenue
from billing.admin import subscriptions as subscriptions
from billing.admin import taxrates as taxrates
