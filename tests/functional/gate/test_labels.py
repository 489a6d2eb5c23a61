"""Labels are free text: none of them may be taken for another."""

from tests.builders.gate import make_customer


def test_what_a_user_spends_in_a_run_is_not_what_another_user_spends_in_another() -> None:
    customer = make_customer()
    customer.budget("5", scope="user", window="run")
    for user, run in (("u", "1/2"), ("u/1", "2"), ("u%2F1", "2")):
        customer.reserved("5", subject={"user": user, "run": run})
        assert customer.reserve("1", subject={"user": user, "run": run}).status_code == 409
