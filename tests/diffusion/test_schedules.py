import math

import pytest
import torch

from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import MaskedOptions
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.schedules import SCHEDULES, get_schedule, slope
from unmask.errors import Error
from unmask.own_code import VARIABLE

NAMES = [*SCHEDULES, "polynomial:2", "polynomial:0.5", "torch:square"]
T = torch.linspace(0, 1, 201, dtype=torch.float64)


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    """The schedules here are the user's own."""
    monkeypatch.setenv(VARIABLE, "1")


@pytest.mark.parametrize("name", NAMES)
def test_schedules_rise_from_0_to_1(name):
    rate = get_schedule(name)(T)
    assert rate[0] == pytest.approx(0, abs=1e-12) and rate[-1] == pytest.approx(1, abs=1e-12)
    assert (rate.diff() > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_is_the_finite_difference(name):
    schedule, t, h = get_schedule(name), T[10:-10], 1e-5
    torch.testing.assert_close(slope(schedule, t), (schedule(t + h) - schedule(t - h)) / (2 * h), atol=1e-6, rtol=1e-6)


def test_the_slope_is_known_inside_no_grad_too():
    with torch.no_grad():
        torch.testing.assert_close(slope(get_schedule("polynomial:3"), T), 3 * T**2)


def test_a_users_own_schedule_is_imported(tmp_path, monkeypatch):
    (tmp_path / "my_schedules.py").write_text("def late(t):\n    return t ** 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    torch.testing.assert_close(get_schedule("my_schedules:late")(T), T**4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cosin", "Did you mean 'cosine'"),
        ("polynomial", "positive power"),
        ("polynomial:", "positive power"),
        ("polynomial:-1", "positive power"),
        ("polynomial:two", "positive power"),
        ("no_such_module:f", "cannot be imported"),
        (":f", "cannot be imported"),
        ("torch:no_such_function", "cannot be imported"),
        ("torch:pi", "differentiable function"),
        ("torch:cos", "must rise"),
        ("torch:exp", "must rise"),
        ("torch:log", "must rise"),
        ("torch:zeros_like", "differentiable function"),
    ],
)
def test_what_is_no_schedule_is_refused(name, words):
    with pytest.raises(Error, match=words):
        get_schedule(name)


def test_a_schedule_of_nan_is_refused(tmp_path, monkeypatch):
    (tmp_path / "nan_schedule.py").write_text("def f(t):\n    return t * float('nan')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Error, match="must rise"):
        get_schedule("nan_schedule:f")


def test_arias_cosine_shows_wholly_hidden_texts_in_training(batch):
    # Generation begins there. Of n tokens all are hidden with probability sqrt(1 / (pi n)), to a percent at n = 15.
    process = PROCESSES.get("masked")(MaskedOptions(schedule="raised_cosine"), Vocabulary())
    clean = batch(20_000, 16)
    state = process.corrupt(clean, seed=0).state
    whole = (state.t == 1).double()
    expected = 1 / math.sqrt(math.pi * 15)
    assert float(whole.mean()) == pytest.approx(expected, abs=4 * math.sqrt(expected / 20_000))
    assert float(get_schedule("raised_cosine")(torch.tensor([0.25]))[0]) == pytest.approx((1 - math.sqrt(0.5)) / 2)
