"""A pytest plugin that registers the toys, as the lines of a contributor would."""

from toys.sampler import Toy as ToySampler
from unmask.diffusion.registry import PROCESSES
from unmask.models.backbones import BACKBONES, Backbone
from unmask.sampling.registry import SAMPLERS

PROCESSES.at("toy", "toys.process:Toy", "toys.process:ToyOptions")
BACKBONES.add("toy")(Backbone("toys.network:Toy", "toys.network:ToyOptions"))
SAMPLERS.add("toy")(ToySampler)
