"""A pytest plugin: every test as many times as SOAK_ROUNDS says."""

import os

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test a number of the round."""
    metafunc.fixturenames.append("soak_round")
    metafunc.parametrize("soak_round", range(int(os.environ.get("SOAK_ROUNDS", "1"))))
