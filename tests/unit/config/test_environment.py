"""The one reader of environment variables."""

import json
from pathlib import Path

import pytest

from config.database_urls import django_database, with_role
from config.environment import VARIABLES, WrongEnvironment, read_environment
from config.roles import scram_verifier

URL = "postgresql://counterfoil_app:s3cret@db.example:5433/books?sslmode=require"


class TestDefaults:
    def test_hold_where_nothing_is_set(self, tmp_path: Path) -> None:
        found = read_environment(variables={"COUNTERFOIL_HOME": str(tmp_path)})
        assert (found.port, found.port_was_given, found.bind) == (8000, False, "127.0.0.1")
        assert found.database_url is None
        assert found.allowed_hosts == ("127.0.0.1", "localhost", "[::1]")
        assert found.adjustment_approval_above_units == 500 * 10**8

    def test_give_way_to_what_is_set(self, tmp_path: Path) -> None:
        given = {"COUNTERFOIL_HOME": str(tmp_path), "ADJUSTMENT_APPROVAL_ABOVE": "0.01"}
        assert read_environment(variables=given).adjustment_approval_above_units == 10**6

    def test_say_how_web_and_app_are_run(self, tmp_path: Path) -> None:
        found = read_environment(variables={"COUNTERFOIL_HOME": str(tmp_path)})
        assert found.app_address == f"unix:{tmp_path}/run/app.sock"
        assert (found.web_processes, found.app_processes in (1, 2)) == (1, True)
        assert (found.gate_deadline_seconds, found.api_key_calls_per_second) == (3, 2_000)
        assert found.gate_lanes == 1

    def test_an_empty_value_counts_as_unset(self, tmp_path: Path) -> None:
        found = read_environment(variables={"COUNTERFOIL_HOME": str(tmp_path), "COUNTERFOIL_PORT": ""})
        assert found.port == 8000

    def test_the_started_servers_are_found_through_the_state_folder(self, tmp_path: Path) -> None:
        urls = {"database": "postgresql:///a", "database_gate": "postgresql:///b", "broker": "redis://x/0"}
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "urls.json").write_text(json.dumps(urls))
        found = read_environment(variables={"COUNTERFOIL_HOME": str(tmp_path)})
        assert (found.database_url, found.gate_database_url) == ("postgresql:///a", "postgresql:///b")
        assert found.celery_broker_url == "redis://x/0"
        assert not found.database_was_given

    def test_the_simulated_stripe_is_found_there_too_and_never_gets_a_real_key(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        urls = {"stripe": "http://127.0.0.1:9", "stripe_key": "sk_test_simulated"}
        (tmp_path / "run" / "urls.json").write_text(json.dumps(urls))
        home = {"COUNTERFOIL_HOME": str(tmp_path)}
        found = read_environment(variables=home)
        assert (found.stripe_api_key, found.stripe_api_base) == ("sk_test_simulated", "http://127.0.0.1:9")
        found = read_environment(variables={**home, "STRIPE_API_KEY": "sk_live_1"})
        assert (found.stripe_api_key, found.stripe_api_base) == ("sk_live_1", None)


class TestARealDatabase:
    def test_gives_the_other_roles_the_same_server(self) -> None:
        found = read_environment(variables={"DATABASE_URL": URL})
        assert found.gate_database_url == URL.replace("counterfoil_app", "counterfoil_gate")
        assert found.database_owner_url == URL.replace("counterfoil_app", "counterfoil_owner")
        assert found.database_readonly_url == URL.replace("counterfoil_app", "counterfoil_readonly")

    def test_may_name_each_role_itself(self) -> None:
        gate = "postgresql://g@direct/books"
        found = read_environment(variables={"DATABASE_URL": URL, "GATE_DATABASE_URL": gate})
        assert found.gate_database_url == gate

    def test_reaches_django_with_its_options(self) -> None:
        found = django_database(url=URL)
        assert [found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] == [
            "books",
            "counterfoil_app",
            "s3cret",
            "db.example",
            "5433",
        ]
        assert found["OPTIONS"] == {"sslmode": "require"}

    def test_behind_a_socket_keeps_its_folder(self) -> None:
        url = with_role(url="postgresql://a@/books?host=/run/Pg", role="b", password="p/w")
        assert url == "postgresql://b:p%2Fw@/books?host=%2Frun%2FPg"


class TestFiles:
    @pytest.mark.parametrize("name", sorted(set(VARIABLES) - {"COUNTERFOIL_HOME"}))
    def test_every_variable_may_come_from_a_file(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / "value"
        file.write_text("\n")
        with pytest.raises(WrongEnvironment) as caught:
            read_environment(variables={f"{name}_FILE": str(file)})
        assert f"{name}_FILE: {file} is empty" in caught.value.errors

    def test_a_secret_is_read_without_its_line_end(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("x" * 40 + "\n")
        assert read_environment(variables={"SECRET_KEY_FILE": str(file)}).secret_key == "x" * 40

    def test_a_value_and_a_file_together_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("y" * 40)
        with pytest.raises(WrongEnvironment, match="both set"):
            read_environment(variables={"SECRET_KEY": "x" * 40, "SECRET_KEY_FILE": str(file)})


class TestALimitByCurrency:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("", {"": 1000}),
            ("2000", {"": 2000}),
            ("JPY=150000", {"": 1000, "JPY": 150_000}),
            ("0, JPY=150000,HUF=0", {"": 0, "JPY": 150_000, "HUF": 0}),
        ],
        ids=["nothing", "plain", "named", "both"],
    )
    def test_is_the_plain_one_unless_it_is_named(self, given: str, expected: dict[str, int]) -> None:
        found = read_environment(variables={"PAYOUT_APPROVAL_ABOVE": given}).payout_approval_above_units
        assert found == {currency: amount * 10**8 for currency, amount in expected.items()}


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("COUNTERFOIL_PORT", "0"),
            ("COUNTERFOIL_PORT", "65536"),
            ("COUNTERFOIL_PORT", "８０００"),
            ("COUNTERFOIL_PORT", "-1"),
            ("COUNTERFOIL_BIND", "localhost"),
            ("DATABASE_URL", "mysql://x/y"),
            ("DATABASE_URL", "postgresql://host"),
            ("DATABASE_URL", "postgresql://host/db?nonsense=1"),
            ("DATABASE_OWNER_URL", "postgresql://owner@host/db"),
            ("CELERY_BROKER_URL", "http://broker"),
            ("STRIPE_API_KEY", "pk_test_1"),
            ("STRIPE_API_BASE", "ftp://stripe"),
            ("STRIPE_WEBHOOK_SECRETS", "a,,b"),
            ("SECRET_KEY", "short"),
            ("ADJUSTMENT_APPROVAL_ABOVE", "-1"),
            ("ADJUSTMENT_APPROVAL_ABOVE", "5e2"),
            ("PAYOUT_APPROVAL_ABOVE", "1000,2000"),
            ("PAYOUT_APPROVAL_ABOVE", "JPY=1,JPY=2"),
            ("PAYOUT_APPROVAL_ABOVE", "jpy=1"),
            ("PAYOUT_APPROVAL_ABOVE", "=1"),
            ("PAYOUT_APPROVAL_ABOVE", "JPY="),
            ("PAYOUT_APPROVAL_ABOVE", "JPY=-1"),
            ("COUNTERFOIL_HOME", "/dev/null"),
            ("COUNTERFOIL_APP", "unix:relative/app.sock"),
            ("COUNTERFOIL_APP", "https://127.0.0.1:9000"),
            ("COUNTERFOIL_APP", "http://127.0.0.1:9000/path"),
            ("COUNTERFOIL_WEB_PROCESSES", "0"),
            ("COUNTERFOIL_APP_PROCESSES", "two"),
            ("GATE_DEADLINE_SECONDS", "9"),
            ("GATE_LANES", "17"),
            ("API_KEY_CALLS_PER_SECOND", "1.5"),
            ("TAX_PROVIDER", "rates.Mine"),
            ("TAX_PROVIDER", "os;system:x"),
        ],
    )
    def test_a_wrong_value_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(WrongEnvironment) as caught:
            read_environment(variables={name: value})
        known = {"DATABASE_OWNER_URL": "DATABASE_URL"}  # a role's URL alone: the main one is missing
        assert [error.split(":")[0] for error in caught.value.errors] == [known.get(name, name)]

    def test_all_of_them_are_told_at_once(self) -> None:
        wrong = {"COUNTERFOIL_PORT": "x", "SECRET_KEY": "short", "CELERY_BROKER_URL": "nats://x"}
        with pytest.raises(WrongEnvironment) as caught:
            read_environment(variables=wrong)
        assert len(caught.value.errors) == 3

    def test_an_open_address_needs_the_names_of_its_hosts(self) -> None:
        with pytest.raises(WrongEnvironment, match="ALLOWED_HOSTS"):
            read_environment(variables={"COUNTERFOIL_BIND": "0.0.0.0"})
        found = read_environment(
            variables={"COUNTERFOIL_BIND": "0.0.0.0", "ALLOWED_HOSTS": "a.example, b.example"}
        )
        assert found.allowed_hosts == ("a.example", "b.example")

    def test_no_message_shows_a_secret(self) -> None:
        with pytest.raises(WrongEnvironment) as caught:
            read_environment(variables={"SECRET_KEY": "hush", "DATABASE_URL": "postgresql://u:hush@h/d?x=1"})
        assert "hush" not in str(caught.value)


class TestScram:
    def test_the_verifier_is_the_one_of_the_standard(self) -> None:
        """RFC 7677, section 3: the exchange of user `user` with the password `pencil`."""
        import base64

        salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
        verifier = scram_verifier(password="pencil", salt=salt)
        assert verifier == (
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        )
