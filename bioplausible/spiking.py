"""A spiking network: Poisson input, leaky integrate-and-fire neurons with lateral inhibition, labelled after training.

Diehl & Cook 2015, doi:10.3389/fncom.2015.00099. Conductance-based; times in ms, potentials in mV, conductances in
units of the leak's:
    tau dv/dt = (v_rest - v) + g_e (E_e - v) + g_i (E_i - v),    E_e = 0, E_i = -100
    tau_e dg_e/dt = -g_e, plus W at an input spike;    tau_i dg_i/dt = -g_i, plus `inhibition` at others' spikes
A neuron that reaches threshold + theta spikes, goes to v_reset, and stays there for the refractory time. theta grows
by .05 a spike, decays over hours of simulated time, and is frozen outside training.
The same `Layer` as everywhere: before (image to spikes), synapse (spikes to conductance), nonlinearity (conductance to
spikes), after (spikes to votes for classes).
Deviations: presentations are 150 ms at up to 127.5 Hz (paper: 350 ms, 63.75 Hz), nearly as many input spikes in less
than half the steps; neurons inhibit each other directly, without a population of inhibitory ones between; of neurons
that reach threshold in the same step, only the farthest above it spikes; every image starts from rest (the paper waits
150 ms between images) and is stretched to the full range of rates instead of shown again when it moves too few neurons;
images of a batch meet the same weights and thresholds; a step is 1 ms (paper: .5), exact while conductances stay as
they are. Thresholds grow with every spike and hardly decay: short trainings need a larger `theta_plus` than long ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .layer import Layer
from .network import Network
from .objective import Objective
from .synapse import LinearSynapse

Decision = Callable[[Float[Tensor, "batch time neuron"]], Float[Tensor, "batch class"]]

AT_ONCE = 50  # images that a pass without learning holds in memory, with all their time steps
EXCITATORY, INHIBITORY = 0.0, -100.0  # reversal potentials in mV


class PoissonInput(nn.Module):
    """Each pixel fires independently in each step, at a rate proportional to its intensity.

    An image's darkest pixel is silent and its brightest fires at `max_rate`, so that standardised images mean the same
    as raw ones. A step of `step` ms holds a spike with probability rate x step: the Poisson process of rates far below
    one spike a step.

    Parameters
    ----------
    duration, step
        Of a presentation, and of the simulation, in ms.
    max_rate
        In Hz.
    seed
        Of the random numbers that all images share outside training: an image's score depends on the image alone.
    """

    def __init__(self, duration: float = 150.0, step: float = 1.0, max_rate: float = 127.5, seed: int = 0) -> None:
        super().__init__()
        self.n_steps, self.largest, self.seed = round(duration / step), max_rate * step / 1000, seed

    def spikes(
        self, x: Float[Tensor, "batch ..."], uniform: Float[Tensor, "shared time feature"]
    ) -> Float[Tensor, "batch time feature"]:
        """Spikes (0 or 1), given uniform numbers for each image or, with `shared` 1, for all."""
        flat = x.flatten(1)
        low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
        intensity = (flat - low) / (high - low).clamp_min(torch.finfo(x.dtype).tiny)
        return (uniform < self.largest * intensity[:, None]).to(x)

    def blank(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch time feature"]:
        """The shape of the spikes for `x`, without values."""
        return x.new_empty(1).expand(len(x), self.n_steps, x[0].numel())

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch time feature"]:
        draws = torch.Generator().manual_seed(self.seed)
        return self.spikes(x, torch.rand(1, self.n_steps, x[0].numel(), generator=draws).to(x))


class IntegrateAndFire(nn.Module):
    """A population of leaky integrate-and-fire neurons with adaptive thresholds, which inhibit each other.

    Parameters
    ----------
    n_neurons
        Of the population.
    inhibition
        Inhibitory conductance that a spike adds to every other neuron, one step later.
    theta_plus, theta_decay
        What a spike adds to its neuron's threshold, in mV, and the time constant of its loss, in ms.
    membrane, excitatory, inhibitory, refractory, step
        Time constants of potential and conductances, the refractory time, and the step, in ms.
    rest, reset, threshold
        Potentials in mV.
    """

    theta: Tensor

    def __init__(
        self,
        n_neurons: int,
        inhibition: float = 17.0,
        theta_plus: float = 0.05,
        theta_decay: float = 1e7,
        membrane: float = 100.0,
        excitatory: float = 1.0,
        inhibitory: float = 2.0,
        refractory: float = 5.0,
        step: float = 1.0,
        rest: float = -65.0,
        reset: float = -65.0,
        threshold: float = -52.0,
    ) -> None:
        super().__init__()
        self.inhibition, self.theta_plus, self.theta_decay = inhibition, theta_plus, theta_decay
        self.rest, self.reset, self.threshold, self.step = rest, reset, threshold, step
        self.leak, self.refractory_steps = step / membrane, round(refractory / step)
        self.kept_e, self.kept_i = math.exp(-step / excitatory), math.exp(-step / inhibitory)
        self.register_buffer("theta", torch.zeros(n_neurons))

    def forward(self, drive: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch time neuron"]:
        """Spikes (0 or 1) for the excitatory conductance that arrives in each step."""
        spikes, at_rest = torch.zeros_like(drive), torch.zeros_like(drive[:, 0])
        v, g_e, g_i, silent = at_rest + self.rest, at_rest.clone(), at_rest.clone(), at_rest.clone()
        limit, fired = self.threshold + self.theta, spikes[:, 0]
        for arriving, now in zip(drive.unbind(1), spikes.unbind(1), strict=True):
            g_e.mul_(self.kept_e).add_(arriving)
            g_i.mul_(self.kept_i).add_(fired.sum(1, keepdim=True) - fired, alpha=self.inhibition)
            v = self._potential(v, g_e, g_i).masked_fill_(silent > 0, self.reset)
            above, winner = (v - limit).max(1, keepdim=True)
            fired = now.scatter_(1, winner, (above >= 0).to(now))
            silent.sub_(1).addcmul_(fired, self.refractory_steps - silent)
            v.masked_fill_(fired > 0, self.reset)
        return spikes

    def _potential(self, v: Tensor, g_e: Tensor, g_i: Tensor) -> Tensor:
        """Where the potential is after a step in which the conductances stay as they are."""
        total = (g_e + g_i).add_(1)
        aim = (g_e * EXCITATORY).add_(g_i, alpha=INHIBITORY).add_(self.rest).div_(total)
        return torch.lerp(aim, v, total.mul_(-self.leak).exp_())

    def adapt(self, n_spikes: Float[Tensor, " neuron"], elapsed: float) -> None:
        """Move the thresholds: up by `theta_plus` a spike, down by what `elapsed` ms take."""
        self.theta.mul_(math.exp(-elapsed / self.theta_decay)).add_(n_spikes, alpha=self.theta_plus)


class Votes(nn.Module):
    """Spikes to class scores: the mean spike count of the neurons that carry a class's label.

    A neuron's label is the class whose training images moved it most, on the average; -1 as long as it was silent.

    Parameters
    ----------
    memory
        Images after which a response weighs 1/e: neurons still change while they are watched.
    """

    labels: Tensor
    responses: Tensor
    shown: Tensor

    def __init__(self, n_neurons: int, n_classes: int, memory: float) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("labels", torch.full((n_neurons,), -1))
        self.register_buffer("responses", torch.zeros(n_classes, n_neurons))
        self.register_buffer("shown", torch.zeros(n_classes))

    def forward(self, spikes: Float[Tensor, "batch time neuron"]) -> Float[Tensor, "batch class"]:
        return spikes.sum(1) @ self.weights.to(spikes)

    @property
    def weights(self) -> Float[Tensor, "neuron class"]:
        """What a neuron's spike counts for a class: 1 / neurons of the class, or 0."""
        has = self.labels[:, None] == torch.arange(len(self.shown), device=self.labels.device)
        return has / has.sum(0).clamp_min(1)

    def watch(self, responses: Float[Tensor, "class neuron"], shown: Float[Tensor, " class"]) -> None:
        """Take in the spikes that neurons fired at training images of each class, and how many images those were."""
        kept = math.exp(-float(shown.sum()) / self.memory)
        self.responses.mul_(kept).add_(responses)
        self.shown.mul_(kept).add_(shown)
        rates = self.responses / self.shown.clamp_min(torch.finfo(self.shown.dtype).tiny)[:, None]
        self.labels.copy_(torch.where(rates.sum(0) > 0, rates.argmax(0), -1))


class SpikingNetwork(Network):
    """Poisson input, one population of neurons, votes. `forward(x)` scores classes by spike counts.

    Parameters
    ----------
    n_neurons, n_classes
        Of the population; of the labels.
    example
        Shape of one image.
    total_weight
        Sum of a neuron's weights, which learning leaves as it is; a tenth of the inputs by default (78.4 for 784).
    duration, step
        Of a presentation and of the simulation, in ms.
    max_rate
        Of the brightest pixel, in Hz.
    inhibition, theta_plus
        See `IntegrateAndFire`.
    memory
        Images over which labels are remembered, see `Votes`.
    """

    spiking = True

    def __init__(
        self,
        n_neurons: int = 400,
        example: Sequence[int] = (1, 28, 28),
        n_classes: int = 10,
        total_weight: float | None = None,
        duration: float = 150.0,
        step: float = 1.0,
        max_rate: float = 127.5,
        inhibition: float = 17.0,
        theta_plus: float = 0.05,
        memory: float = 5000.0,
        objective: Objective | None = None,
        seed: int = 0,
    ) -> None:
        n_inputs, draws = math.prod(example), torch.Generator().manual_seed(seed)
        synapse = LinearSynapse(n_inputs, n_neurons, bias=False)
        nn.init.uniform_(synapse.weight, 0, 0.3, generator=draws)
        encoder = PoissonInput(duration, step, max_rate, seed)
        neurons = IntegrateAndFire(n_neurons, inhibition, theta_plus, step=step)
        layer = Layer(synapse, neurons, before=encoder, after=Votes(n_neurons, n_classes, memory))
        super().__init__([layer], example, objective)
        self.total_weight = n_inputs / 10 if total_weight is None else total_weight
        self.step, self.duration = step, duration
        self.restore_weights()

    @property
    def layer(self) -> Layer:
        """The one there is."""
        found = self.layers[0]
        assert isinstance(found, Layer)
        return found

    @property
    def neurons(self) -> IntegrateAndFire:
        assert isinstance(self.layer.nonlinearity, IntegrateAndFire)
        return self.layer.nonlinearity

    @property
    def votes(self) -> Votes:
        assert isinstance(self.layer.after, Votes)
        return self.layer.after

    @property
    def input(self) -> PoissonInput:
        assert isinstance(self.layer.before, PoissonInput)
        return self.layer.before

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch class"]:
        """Class scores: mean spikes of a class's neurons in a presentation. Nothing learns or adapts."""
        return self.scored(x, self.votes)

    def scored(self, x: Float[Tensor, "batch ..."], decide: Decision) -> Float[Tensor, "batch class"]:
        """Class scores that `decide` reads from the neurons' spikes; nothing learns or adapts."""
        parts = torch.split(x, AT_ONCE)
        return torch.cat([decide(self.neurons(self.layer.synapse(self.input(part)))) for part in parts])

    def present(
        self, x: Float[Tensor, "batch ..."], uniform: Float[Tensor, "batch time feature"]
    ) -> tuple[Float[Tensor, "batch time feature"], Float[Tensor, "batch time neuron"]]:
        """Spikes of the input and of the neurons, given the uniform numbers that decide the input's."""
        spikes = self.input.spikes(x, uniform)
        return spikes, self.neurons(self.layer.synapse(spikes))

    @torch.no_grad()
    def restore_weights(self) -> None:
        """Weights back into [0, 1], and every neuron's sum back to `total_weight`."""
        weight = self.layer.synapse.weight
        weight.clamp_(0, 1)
        weight.mul_(self.total_weight / weight.sum(1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny))

    @torch.no_grad()
    def adapt(self, responses: Float[Tensor, "class neuron"], shown: Float[Tensor, " class"]) -> None:
        """Move thresholds by the spikes that neurons fired at so many images, one image after the other."""
        self.neurons.adapt(responses.sum(0), float(shown.sum()) * self.duration)
