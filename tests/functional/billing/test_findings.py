"""Differences that a person must see: opened once, assigned, settled with a reason, counted."""

import secrets
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from billing.operations.findings import open_finding
from config.metrics import scrape
from orgs import PLATFORM_ID
from tests.builders.gate import body_of, make_customer
from tests.builders.orgs import AUTHOR, caller, make_organization, platform, unique, write
from tests.builders.payments import findings

PATH = "/v1/findings"


def opened(subject: str, *, organization: Any = None, kind: str = "payment_mismatch") -> str:
    """The id of a finding that was opened."""
    found = write(
        lambda cur: open_finding(
            cur,
            organization=organization,
            kind=kind,
            subject=subject,
            detail={"ours": 1, "theirs": 2},
            proposed={"step": "look"},
            author=AUTHOR,
        )
    )
    return str(found)


class TestAFinding:
    def test_is_one_for_a_kind_and_subject_while_it_is_open(self) -> None:
        organization, subject = make_organization(), unique("payment_intent:pi")
        first = opened(subject, organization=organization)
        assert opened(subject, organization=organization) == first
        assert opened(subject, organization=organization, kind="other") != first
        body_of(platform().post(f"{PATH}/{first}/resolve", {"reason": "refunded"}, key=unique()), 200)
        assert opened(subject, organization=organization) != first

    def test_is_assigned_noted_and_resolved(self) -> None:
        organization = make_organization()
        finding, finance = opened(unique("x"), organization=organization), platform()
        assert body_of(finance.get(f"{PATH}/{finding}"), 200)["detail"] == {"ours": 1, "theirs": 2}
        path = f"{PATH}/{finding}"
        shown = body_of(finance.post(f"{path}/assign", {"assignee": "Ada"}, key=unique()), 200)
        assert (shown["assigned_to"], shown["status"]) == ("Ada", "open")
        shown = body_of(finance.post(f"{path}/note", {"text": "asked the bank"}, key=unique()), 200)
        assert [note["text"] for note in shown["notes"]] == ["asked the bank"]
        shown = body_of(finance.post(f"{path}/resolve", {"reason": "refunded"}, key=unique()), 200)
        assert (shown["status"], shown["resolution"]) == ("resolved", "refunded")
        assert shown["resolved_at"] is not None
        for verb, body in (
            ("assign", {"assignee": "x"}),
            ("note", {"text": "x"}),
            ("resolve", {"reason": "x"}),
        ):
            assert finance.post(f"{path}/{verb}", body, key=unique()).status_code == 409
        assert len(findings(organization, None)) == 1

    def test_needs_a_reason_and_exists(self) -> None:
        finding, finance = opened(unique("x")), platform()
        for body in (
            {},
            {"reason": ""},
            {"reason": " "},
            {"reason": 1},
            {"reason": "x" * 1001},
            {"why": "x"},
        ):
            assert finance.post(f"{PATH}/{finding}/resolve", body, key=unique()).status_code in (400, 422)
        for name in ("nothing", "01900000-0000-7000-8000-00000000dead"):
            assert finance.get(f"{PATH}/{name}").status_code == 404
            assert finance.post(f"{PATH}/{name}/resolve", {"reason": "x"}, key=unique()).status_code == 404
        (same,) = [one for one in findings(PLATFORM_ID) if str(one.id) == finding]
        assert same.status == "open"

    def test_repeated_under_its_key_is_settled_once(self) -> None:
        finding, key = opened(unique("x")), unique()
        first, again = (
            platform().post(f"{PATH}/{finding}/resolve", {"reason": "x"}, key=key) for _ in range(2)
        )
        assert (first.status_code, first.content) == (200, again.content)

    def test_is_for_the_platform_alone(self) -> None:
        customer = make_customer()
        finding = opened(unique("x"), organization=customer.id)
        own = caller(customer.id, "admin", "billing:write")
        for answer in (
            own.get(PATH),
            own.get(f"{PATH}/{finding}"),
            own.post(f"{PATH}/{finding}/resolve", {"reason": "x"}, key=unique()),
        ):
            assert answer.status_code == 403

    def test_is_listed_by_organization_kind_and_status(self) -> None:
        organization, kind = make_organization(), unique("kind").replace("-", "_")
        one, two = (opened(unique("x"), organization=organization, kind=kind) for _ in range(2))
        body_of(platform().post(f"{PATH}/{one}/resolve", {"reason": "x"}, key=unique()), 200)

        def listed(**query: str) -> list[str]:
            return [row["id"] for row in platform().get(PATH, kind=kind, **query).json()["data"]]

        assert listed() == [two, one]
        assert listed(status="open") == [two]
        assert listed(organization=str(make_organization())) == []
        assert platform().get(PATH, status="bad").status_code == 400
        assert f'counterfoil_open_findings{{kind="{kind}"}} 1.0' in scrape().decode()


def test_the_staff_assigns_and_resolves_findings() -> None:
    organization = make_organization()
    finding = opened(unique("x"), organization=organization)
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename="view_finding"))
    client, path = Client(), "/admin/billing/finding/"
    client.force_login(user)

    def act(action: str, text: str) -> None:
        client.post(path, {"action": action, "text": text, "_selected_action": finding})

    act("resolve", "not allowed")
    assert findings(organization)[0].status == "open"
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_finding", "change_finding")))
    assert "payment_mismatch" in client.get(path).content.decode()
    act("assign", "Ada")
    act("note", "looked at it")
    act("resolve", "")
    assert [one.assigned_to for one in findings(organization)] == ["Ada"]
    act("resolve", "it was refunded")
    (done,) = findings(organization, "resolved")
    assert (done.resolution, done.resolved_by) == ("it was refunded", f"staff:{user.pk}")
