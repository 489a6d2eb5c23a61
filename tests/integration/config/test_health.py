"""What orchestrators and scrapers ask."""

import httpx
import pytest
from django.db import connection
from django.test import Client


class TestAWebServer:
    def test_says_that_it_lives_and_is_ready(self, web: str) -> None:
        assert httpx.get(f"{web}/livez").json() == {"status": "ok"}
        answer = httpx.get(f"{web}/readyz")
        assert (answer.status_code, answer.json()["problem"]) == (200, None)

    def test_gives_its_metrics_as_text(self, web: str) -> None:
        answer = httpx.get(f"{web}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")

    def test_answers_an_unknown_path_of_the_api_with_a_problem(self, web: str) -> None:
        answer = httpx.get(f"{web}/v1/nothing-here")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")

    def test_serves_the_staff_pages_with_their_style(self, web: str) -> None:
        assert httpx.get(f"{web}/admin/login/").status_code == 200
        assert httpx.get(f"{web}/static/admin/css/base.css").status_code == 200

    def test_sends_the_headers_that_protect_a_browser(self, web: str) -> None:
        headers = httpx.get(f"{web}/admin/login/").headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"

    def test_lets_the_staff_log_in_through_a_proxy_that_ends_tls(self, web: str) -> None:
        tls = {"X-Forwarded-Proto": "https"}
        page = httpx.get(f"{web}/admin/login/", headers=tls)
        cookie = page.headers["set-cookie"]
        assert "; Secure" in cookie
        token = cookie.partition("csrftoken=")[2].partition(";")[0]
        form = {"username": "nobody", "password": "wrong", "csrfmiddlewaretoken": token}
        origin = web.replace("http://", "https://")
        for given, status in (({**tls, "Origin": origin}, 200), ({"Origin": origin}, 403)):
            answer = httpx.post(
                f"{web}/admin/login/", data=form, headers={**given, "Cookie": f"csrftoken={token}"}
            )
            assert answer.status_code == status, given

    def test_marks_no_cookie_that_could_not_come_back(self, web: str) -> None:
        assert "; Secure" not in httpx.get(f"{web}/admin/login/").headers["set-cookie"]


class TestReadiness:
    def test_is_refused_without_a_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        connection.close()
        connection.close_pool()
        with monkeypatch.context() as broken:
            broken.setitem(connection.settings_dict, "HOST", "/nowhere")
            answer = Client().get("/readyz")
            connection.close_pool()
        assert (answer.status_code, answer.json()["problem"]) == (503, "database")
        assert Client().get("/readyz").status_code == 200


class TestFigures:
    def test_tell_how_far_behind_the_background_work_is(self, web: str) -> None:
        answer = httpx.get(f"{web}/readyz").json()
        assert set(answer["degraded"]) <= set(answer["figures"])
        assert answer["figures"]["event_lag_seconds"] >= answer["figures"]["sealing_age_seconds"] >= 0

    def test_are_scraped_by_name(self, web: str) -> None:
        text = httpx.get(f"{web}/metrics").text
        assert "counterfoil_database_up 1.0" in text
        for name in ("sealing_age_seconds", "horizon_age_seconds", "parked_subscribers", "failing_jobs"):
            assert f"\ncounterfoil_{name} " in text
