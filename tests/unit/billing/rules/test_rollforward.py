"""Roll-forwards: each kind of entry is one movement, and what is not named is not lost."""

from billing.rules.rollforward import MOVEMENTS, movement_names, roll_forward, summed


def test_each_kind_of_entry_is_its_movement_and_the_rest_is_other() -> None:
    found = roll_forward(
        "deferred_revenue", [("invoice", 5, 60, 65), ("recognition", -2, -10, -12), ("adjustment", 0, 1, 1)]
    )
    assert (found.opening, found.closing) == (3, 54)
    assert {name: amount for name, amount in found.movements.items() if amount} == {
        "billed": 60, "recognised": -10, "other": 1,
    }  # fmt: skip
    assert found.agrees


def test_that_do_not_agree_say_so() -> None:
    assert not roll_forward("customer_credit", [("grant", 0, 5, 6)]).agrees


def test_of_several_books_are_added_up() -> None:
    parts = [roll_forward("customer_credit", [("grant", 1, 2, 3)]) for _ in range(3)]
    found = summed("customer_credit", parts)
    assert (found.opening, found.movements["granted"], found.closing) == (3, 6, 9)


def test_every_account_names_its_movements_once_with_the_rest_at_last() -> None:
    for account in MOVEMENTS:
        names = movement_names(account)
        assert len(names) == len(set(names))
        assert names[-1] == "other"
