"""Schemathesis asks a live server what its own OpenAPI description allows, and more: it never fails."""

from __future__ import annotations

import hypothesis
import schemathesis
from hypothesis import HealthCheck, given

FEW = hypothesis.settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_nothing_that_is_asked_makes_the_server_fail(live):
    described = schemathesis.openapi.from_url(f"{live.address}/openapi.json")
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @FEW
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            answer = case.call(timeout=30)
            assert answer.status_code < 500, (answer.status_code, answer.text[:500])

        ask()
    assert asked > 30


def test_the_description_has_every_route_and_field(live):
    told = schemathesis.openapi.from_url(f"{live.address}/openapi.json").raw_schema
    assert {"/v1/models", "/v1/completions", "/v1/chat/completions", "/v1/unmask", "/health", "/ready"} <= set(
        told["paths"]
    )
    assert "canvas" in told["components"]["schemas"]["Extension"]["properties"]
