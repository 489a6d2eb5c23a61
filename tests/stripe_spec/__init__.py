"""What Stripe's own OpenAPI document says of every request and answer of the simulator (a development mode of it)."""

from tests.stripe_spec.checking import Checker as Checker
