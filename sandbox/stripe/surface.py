"""Every resource, imported for its calls: they fill the table of `routes`."""

from sandbox.stripe.resources import (
    accounts as accounts,
)
from sandbox.stripe.resources import (
    balance as balance,
)
from sandbox.stripe.resources import (
    charges as charges,
)
from sandbox.stripe.resources import (
    customers as customers,
)
from sandbox.stripe.resources import (
    disputes as disputes,
)
from sandbox.stripe.resources import (
    events as events,
)
from sandbox.stripe.resources import (
    invoices as invoices,
)
from sandbox.stripe.resources import (
    payment_intents as payment_intents,
)
from sandbox.stripe.resources import (
    payment_methods as payment_methods,
)
from sandbox.stripe.resources import (
    payouts as payouts,
)
from sandbox.stripe.resources import (
    refunds as refunds,
)
from sandbox.stripe.resources import (
    setup_intents as setup_intents,
)
from sandbox.stripe.resources import (
    subscriptions as subscriptions,
)
from sandbox.stripe.resources import (
    transfers as transfers,
)
from sandbox.stripe.resources import (
    webhook_endpoints as webhook_endpoints,
)
