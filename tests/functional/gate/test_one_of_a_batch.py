"""A command that the database refuses is refused alone, also when nothing else of its batch is left."""

from tests.builders.gate import make_customer
from tests.builders.orgs import unique

MOST = "92233720368.54775807"


def test_the_only_good_item_of_a_batch_is_refused_as_an_item() -> None:
    customer = make_customer("10")
    customer.budget("100")
    customer.commit(customer.reserved("1")["id"], "1")
    name = customer.reserved("1")["id"]
    items = [
        {"id": name, "outcome": "completed", "amount": "-1", "idempotency_key": unique()},
        {"id": name, "outcome": "completed", "amount": MOST, "idempotency_key": unique()},
    ]
    reply = customer.api.post("/v1/reservations/commit_batch", {"items": items})
    assert reply.status_code == 200
    refused = [(result["status"], result["body"]["code"]) for result in reply.json()["results"]]
    assert refused == [(400, "invalid_amount"), (422, "amount_out_of_range")]
