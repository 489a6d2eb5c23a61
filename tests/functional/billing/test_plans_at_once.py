"""Plans that an organization has several times at once: what they give away comes once."""

from ledger.operations.grants import expire_grants
from tests.builders.billing import Billed, billed
from tests.builders.catalog import make_coupon
from tests.builders.orgs import AUTHOR, unique, write
from tests.builders.subscribed import fee
from tests.builders.subscriptions import PATH, acted, owner, sell, subscribe
from tests.functional.billing.test_money_games import credit_of


def months_of_credit(made: Billed, months: int) -> list[int]:
    """The customer's credit now and after each of so many months, in cents, when what expired is gone."""
    found = [credit_of(made)]
    for _ in range(months):
        made.customer.pass_time(days=34)
        made.run()
        write(lambda cur: expire_grants(cur, organization=made.id, author=AUTHOR))
        found.append(credit_of(made))
    return found


class TestAPlanThatIsHadSeveralTimesAtOnce:
    def test_gives_its_credit_away_once_a_month(self) -> None:
        made = billed()
        who, free = owner(made.id), sell(fee("0"), credits=[{"amounts": {"USD": "1"}}])
        for _ in range(3):
            subscribe(who, free)
            made.customer.pass_time(days=1)
        assert months_of_credit(made, 2) == [100, 100, 100]
        made.assert_sound()

    def test_gives_it_away_once_where_a_year_brings_it_monthly(self) -> None:
        made = billed()
        monthly = {"amounts": {"USD": "1"}, "every": {"unit": "month", "count": 1}}
        who, free = owner(made.id), sell(fee("0"), credits=[monthly], interval={"unit": "year", "count": 1})
        first = subscribe(who, free)
        subscribe(who, free)
        assert months_of_credit(made, 1) == [100, 100]
        acted(who, first, "cancel", {"when": "now"})
        assert months_of_credit(made, 2) == [100, 100, 100]
        made.assert_sound()

    def test_gives_what_a_bigger_one_has_beyond_it(self) -> None:
        made = billed()
        who = owner(made.id)
        for amount in ("1", "3", "2"):
            subscribe(who, sell(fee("0"), credits=[{"amounts": {"USD": amount}}]))
        assert credit_of(made) == 300
        made.assert_sound()

    def test_is_no_other_of_itself_when_it_is_changed(self) -> None:
        made = billed()
        who = owner(made.id)
        small, big = (sell(fee("0"), credits=[{"amounts": {"USD": amount}}]) for amount in ("1", "3"))
        sub = subscribe(who, small)
        acted(who, sub, "change", {"plan": big.plan_key, "mode": "reset"})
        assert credit_of(made) == 300
        made.assert_sound()

    def test_brings_each_time_what_its_fee_pays_for(self) -> None:
        made = billed()
        who, plan = owner(made.id), sell(fee("9"), credits=[{"amounts": {"USD": "5"}}])
        for _ in range(2):
            subscribe(who, plan)
        assert credit_of(made) == 1_000
        made.assert_sound()

    def test_gives_its_credit_away_once_where_a_coupon_takes_the_fee(self) -> None:
        made = billed()
        who, plan = owner(made.id), sell(fee("9"), credits=[{"amounts": {"USD": "5"}}])
        coupon = make_coupon(percent="100", duration="once")
        subscribe(who, plan, coupons=[coupon.code])
        body = {"organization": str(made.id), "plan": plan.plan_key, "coupons": [coupon.code]}
        assert made.finance.post(PATH, body, key=unique()).status_code == 201
        assert credit_of(made) == 500
        made.assert_sound()
