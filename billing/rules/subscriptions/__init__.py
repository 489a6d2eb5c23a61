"""What may happen to a subscription, and what each of it costs: pure decisions over its whole row (S72).

`row` is what is stored, `states` the state machine, `fees` and `allowances` what a period costs and brings, `work` the
steps that all decisions are put together from, `crediting` and `moving` what comes back of a fee and what a quantity
with tiers (`held`) costs when it changes; then one module for each kind of decision.
"""
