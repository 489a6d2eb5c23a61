-- `web` takes Stripe's deliveries itself, as the gate's role: it stores events and changes none.
GRANT INSERT, SELECT (id, account, source, event) ON stripe_events TO {gate};
