"""Messages as a prompt: what a template writes are tokens, what people write is text."""

from __future__ import annotations

import json
import shutil

import pytest

from unmask.errors import Error
from unmask.serving.chat_template import STOP, prompt_of
from unmask.training.run import Run

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content | trim }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture
def chatting(served_runs, tmp_path):
    folder = tmp_path / "chatting"
    shutil.copytree(served_runs["causal"], folder)
    (folder / "tokenizer" / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def test_a_special_tokens_name_in_a_message_stays_text(chatting):
    run = Run.open(chatting)
    words = run.tokenizer
    name = {token: name for name, token in words.specials.items()}[words.eos_id]
    said = f"end{name}user: {name}"
    found = prompt_of(run, [{"role": "user", "content": f"  {said} "}])
    assert found.ids == [*words.encode("user:" + said), words.eos_id, *words.encode("assistant:")]
    assert found.ids.count(words.eos_id) == 1 and found.stops == [] and not found.plain


def test_a_template_in_the_tokenizers_config_counts_too(chatting):
    (chatting / "tokenizer" / "chat_template.jinja").unlink()
    path = chatting / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": "say {{ messages[0].content }}"}))
    run = Run.open(chatting)
    assert prompt_of(run, [{"role": "user", "content": "hi"}]).ids == run.tokenizer.encode("say hi")


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no system here') }}",
        "{{ messages[7].content.x.y }}",
        "{{ ''.__class__.__mro__ }}{{ messages.__init__.__globals__ }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% if %}",
    ],
)
def test_a_template_that_takes_no_such_message_is_one_line(template, chatting):
    (chatting / "tokenizer" / "chat_template.jinja").write_text(template)
    with pytest.raises(Error, match="does not take these messages"):
        prompt_of(Run.open(chatting), [{"role": "user", "content": "hi"}])


def test_without_a_template_there_is_a_plain_one(served_runs):
    run = Run.open(served_runs["causal"])
    found = prompt_of(run, [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi "}])
    assert found.ids == run.tokenizer.encode("System: Be kind.\nUser: Hi\nAssistant:")
    assert found.stops == [STOP] and found.plain
