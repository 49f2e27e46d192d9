"""A network's own losses reach the loss of any process, at one place."""

from dataclasses import replace

import pytest
import torch

from guards.parts import CASES, make_process, over
from unmask.diffusion.network_losses import training_loss


class Asking:
    """A network that asks for something of its own, and tells how often it was called with gradients."""

    def __init__(self, model, losses=True):
        self.model = model
        self.losses = losses
        self.config = model.config
        self.learning = 0

    def __call__(self, state, at=None):
        prediction = self.model(state, at=at)
        self.learning += torch.is_grad_enabled()
        own = {"tax": torch.tensor(float(self.learning), requires_grad=True)} if self.losses else {}
        return replace(prediction, losses=own, metrics={"calls": torch.tensor([1.0, self.learning])})


@over("name, options", CASES)
def test_the_loss_of_every_process_is_joined_by_the_networks_own(name, options, tiny, batch):
    process, clean = make_process(name, **options), batch(4, ragged=True)
    model = tiny(**process.options.network())
    plain = process.loss(model, clean, 0, 0.9)["loss"]
    asking = Asking(model)
    found = training_loss(process, asking, clean, 0, 0.9)
    assert asking.learning >= 1
    tax = sum(range(1, asking.learning + 1)) / asking.learning
    torch.testing.assert_close(found.loss, plain + tax)
    assert float(found.metrics["loss.tax"]) == tax and torch.equal(found.metrics["loss.process"], plain.detach())
    assert found.metrics["network.calls"].tolist() == [1.0, tax]
    assert not any(value.requires_grad for value in found.metrics.values())
    found.loss.backward()


def test_a_network_that_asks_for_nothing_leaves_the_loss_as_it_is(tiny, batch):
    process, clean, model = make_process("masked"), batch(4), tiny()
    found = training_loss(process, model, clean, 3)
    assert torch.equal(found.loss, process.loss(model, clean, 3)["loss"]) and not found.metrics
    telling = training_loss(process, Asking(model, losses=False), clean, 3)
    assert telling.metrics.keys() == {"network.calls"} and torch.equal(telling.loss, found.loss)


def test_answers_without_gradients_ask_for_nothing(tiny, batch):
    process = make_process("sparse")
    calls = []

    class Noting(Asking):
        def __call__(self, state, at=None):
            calls.append(torch.is_grad_enabled())
            return super().__call__(state, at)

    asking = Noting(tiny(**process.options.network()))
    found = training_loss(process, asking, batch(4), 0)
    assert calls == [False, True] and float(found.metrics["loss.tax"]) == pytest.approx(1.0)
