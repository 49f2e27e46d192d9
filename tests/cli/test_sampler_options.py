"""Every setting of a sampler can be given on the command line."""

import inspect
from dataclasses import fields

import pytest

from unmask.cli.infill import infill
from unmask.cli.sample import sample
from unmask.sampling import SAMPLERS, Settings


@pytest.mark.parametrize("verb", [sample, infill])
def test_every_setting_is_an_option_of_the_verbs_that_write(verb):
    wanted = {f.name for f in fields(Settings)}
    if verb is infill:
        wanted -= {"ignore_eos", "repetition_penalty"}  # a hole never ends the text; only left to right is it penalised
    assert wanted <= set(inspect.signature(verb).parameters)


def test_the_help_names_every_sampler():
    told = inspect.signature(sample).parameters["sampler"].annotation
    from unmask.cli.sample import Sampler

    assert told == "Sampler"
    help_text = Sampler.__metadata__[0].help
    assert {name.strip(" .") for name in help_text.split("|")} == set(SAMPLERS)
