"""Schemathesis asks a live server what its own OpenAPI description allows, and more: it never fails."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error

FEW = hypothesis.settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def described(live):
    return schemathesis.openapi.from_url(f"{live.address}/openapi.json")


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@FEW
def test_nothing_that_is_asked_makes_the_server_fail(case):
    case.call_and_validate(checks=[not_a_server_error], timeout=30)


def test_the_description_has_every_route_and_field(live):
    told = schemathesis.openapi.from_url(f"{live.address}/openapi.json").raw_schema
    assert {"/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/unmask", "/health", "/ready"} <= set(
        told["paths"]
    )
    assert "canvas" in told["components"]["schemas"]["Extension"]["properties"]
