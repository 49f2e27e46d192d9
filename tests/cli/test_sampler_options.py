"""What a sampler's models say is all that the verbs know of settings: their help, their list, their errors."""

import json

import pytest

from unmask.sampling.registry import SAMPLERS
from unmask.sampling.settings_words import all_settings

COMMON = {"steps", "seed", "temperature", "top_k", "top_p"}


@pytest.mark.parametrize(
    "verb", [("sample",), ("infill",), ("thoughts", "steer"), ("thoughts", "resume")], ids=" ".join
)
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_the_help_of_what_writes_lists_the_settings_of_the_named_sampler(cli, verb, name):
    ran = cli(*verb, "--sampler", name, "--help")
    assert ran.status == 0
    own = ran.out.partition(f"\n{name}: ")[2]
    assert all(f"-s {key}=" in own for key in SAMPLERS.facts(name).model_fields)
    assert all(other in "".join(cli(*verb, "--help").out.split()) for other in SAMPLERS)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_the_list_of_samplers_says_what_each_drives_and_what_each_setting_takes(cli, name):
    listed = cli("samplers").out
    facts = SAMPLERS.facts(name)
    assert f"\n{name} " in f"\n{listed}"
    (told,) = json.loads(cli("samplers", name, "--json").out)["samplers"]
    assert (told["name"], told["shows"], told["visibility"]) == (name, facts.shows, facts.visibility)
    assert [one["name"] for one in told["settings"]] == list(facts.model_fields)
    assert all(one["about"] and one["takes"] for one in told["settings"]), "a setting without help"
    assert told["about"] and told["processes"]


@pytest.mark.parametrize("key", sorted(set(all_settings()) - COMMON))
def test_a_setting_given_as_an_option_is_answered_with_how_it_is_given(cli, key):
    option = f"--{key.replace('_', '-')}"
    for given in ((option, "3"), (f"{option}=3",)):
        ran = cli("sample", "nowhere", *given)
        switch = all_settings()[key] in (bool, bool | None) and given == (option, "3")  # which takes no value
        wanted = f"{key}=true" if switch else f"{key}=3"
        assert ran.status == 2 and ran.err.strip() == (
            f"error: unknown option {option!r}. A sampler's settings are given with -s: -s {wanted}."
        )


def test_an_unknown_sampler_is_told_in_help_and_list(cli):
    for args in (("samplers", "confidense"), ("sample", "--sampler", "confidense", "--help")):
        ran = cli(*args)
        assert ran.status == 2 and "Did you mean 'confidence'?" in ran.err
