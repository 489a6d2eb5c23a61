"""Dunning: what follows when a customer does not pay, and what ends it. Pure.

`states` has the one table of transitions, `policy` the dated steps, `case` the row, `machine` what is to be done next.
"""
