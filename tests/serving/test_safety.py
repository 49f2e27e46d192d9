"""Who may ask, and what a server tells of itself."""

from __future__ import annotations

import hmac
import json
import logging

import httpx2
import openai
import pytest

from unmask.serving import safety

KEY = "a-long-enough-key"


def test_keys_are_asked_for_and_compared_in_constant_time(serving, monkeypatch):
    compared, compare = [], hmac.compare_digest

    def counted(one, other):
        compared.append(len(one))
        return compare(one, other)

    monkeypatch.setattr(safety.hmac, "compare_digest", counted)
    with serving(keys=(KEY, "another-long-key")) as live:
        for key in ("none", KEY[:-1], KEY + "x"):
            with pytest.raises(openai.AuthenticationError, match="give an API key"):
                live.client(api_key=key).models.list()
        assert compared == [32] * 6, "every key is compared, as digests of one size"
        assert live.client(api_key=KEY).models.list().data
        assert live.client(api_key="another-long-key").completions.create(model="causal", prompt="a", max_tokens=1)
        for path, expected in (("/metrics", 401), ("/v1/unmask", 401), ("/health", 200), ("/ready", 200)):
            assert httpx2.get(live.address + path).status_code == expected


def test_every_answer_keeps_browsers_strict(live):
    for path in ("/health", "/v1/models", "/nothing", "/"):
        headers = httpx2.get(live.address + path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers
        assert "server" not in headers and headers["x-request-id"]


class Kept(logging.Handler):
    """Keeps the records that reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.records.append(record)


def test_logs_hold_no_prompts_unless_they_are_asked_for(serving, caplog, monkeypatch):
    logger = logging.getLogger("unmask.serving")  # an earlier test may have set it up as a command does
    caplog.set_level(logging.INFO, logger.name)
    secret = "my secret words"
    for told in (False, True):
        kept = Kept()
        monkeypatch.setattr(logger, "handlers", [kept])
        with serving(log_prompts=told) as live:
            live.client().completions.create(model="causal", prompt=secret, max_tokens=3, user="u1")
            with pytest.raises(openai.UnprocessableEntityError):
                live.client().completions.create(model="causal", prompt=secret, max_tokens="x")
        lines = [{"event": one.getMessage(), **getattr(one, "data", {})} for one in kept.records]
        asked = sorted((one for one in lines if one["event"] == "request"), key=lambda one: one["status"])
        assert [one["status"] for one in asked] == [200, 422]
        assert asked[0]["model"] == "causal" and asked[0]["user"] == "u1" and asked[0]["id"]
        assert (secret in json.dumps(lines)) == told


def test_what_a_server_can_do_is_told(live):
    told = httpx2.get(f"{live.address}/v1/unmask").json()
    models = {one["id"]: one for one in told["models"]}
    assert list(models) == ["causal", "masked", "block"]
    assert models["masked"]["infills"] and not models["causal"]["infills"]
    assert models["causal"]["logprobs"] == "exact" and models["masked"]["logprobs"] is None
    names = [one["name"] for one in models["masked"]["samplers"]]
    assert "confidence" in names and "autoregressive" not in names
    steps = next(s for s in models["masked"]["samplers"][0]["settings"] if s["name"] == "steps")
    assert steps["takes"].startswith("a whole number") and steps["about"]
    assert told["limits"]["max_tokens"] == 128 and models["block"]["context"] == 32
    assert not any(str(one.run.path) in json.dumps(told) for one in live.shelf)
