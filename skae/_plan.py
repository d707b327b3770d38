"""The plan of a training: all decisions, made once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from skae.noise import Noise
from skae.objectives import Objective, Reconstruction
from skae.training import (
    AsBuilt,
    AutoencoderNet,
    EarlierFit,
    Split,
    Start,
    hold_out,
    recipe,
)


@dataclass(frozen=True)
class Plan:
    """Decisions of an estimator, from its parameters and its training rows.

    Building, training and comparison use the plan, so that each decision is made once.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        The module, or a class or function that makes it.

    arguments : dict, default={}
        Arguments to make it with.

    is_user_module : bool, default=False
        Whether the module is the user's, so that nothing is known about it.

    criterion : torch.nn.Module class or instance, default=torch.nn.MSELoss
        Loss of reconstructions and rows.

    objective : Objective, default=Reconstruction()
        How to compute the loss of rows from the module and the criterion.

    noise : Noise, default=None
        Noise on the input of the encoder in training.

    fits_noise : bool, default=False
        Whether the noise is fitted to the training rows.

    validates_noisy : bool, default=False
        Whether validation rows also have the noise.

    n_noisy_rows : int, default=512
        Least number of noisy validation rows; fewer rows are copied.

    start : Start, default=AsBuilt()
        State before the first step.

    floor : Start, default=None
        State that is kept unless training beats it; it may be `start` itself. None
        keeps the trained network, better or not.

    hold_out : callable, default=hold_out
        Function that chooses the validation rows, like `skae.training.hold_out`.

    pretrain : callable, default=None
        Function of the net, the training and validation rows and the tasks of the fit.
        It trains parts of the module and returns whether to continue with the whole
        module.

    is_solved : bool, default=False
        Whether the start is the optimum, so that training is not needed.

    optimizer : str or torch.optim.Optimizer class, default="adam"
        Optimizer.

    lr : float, default=3e-3
        Learning rate.

    lr_schedule : object, default="auto"
        Schedule of the rate, like the parameter of that name.

    weight_decay : float, default=0.0
        Weight decay.

    batch_size : int, default=256
        Number of rows in each step.

    max_epochs : int, default=None
        Number of passes over the training rows. None makes `n_steps` steps.

    n_steps : int, default=2000
        Number of steps if `max_epochs` is None.

    clip_norm : float, default=None
        Largest norm of gradients.

    net_class : type, default=AutoencoderNet
        Class of the net.

    net_options : dict, default=None
        Further arguments of the net, in place of those of an autoencoder.
    """

    module: Any
    arguments: dict[str, Any] = field(default_factory=dict)
    is_user_module: bool = False
    criterion: Any = nn.MSELoss
    objective: Objective = Reconstruction()  # noqa: RUF009
    noise: Noise | None = None
    fits_noise: bool = False
    validates_noisy: bool = False
    n_noisy_rows: int = 512
    start: Start = AsBuilt()  # noqa: RUF009
    floor: Start | None = None
    hold_out: Callable[..., Split] = hold_out
    pretrain: Callable[..., bool] | None = None
    is_solved: bool = False
    optimizer: Any = "adam"
    lr: float = 3e-3
    lr_schedule: Any = "auto"
    weight_decay: float = 0.0
    batch_size: int = 256
    max_epochs: int | None = None
    n_steps: int = recipe.Recipe.n_steps
    clip_norm: float | None = None
    net_class: type = AutoencoderNet
    net_options: dict[str, Any] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments that depend on the class of the net."""
        if self.net_options is not None:
            return self.net_options
        return {
            "objective": self.objective,
            "noise": self.noise,
            "copy_rows": self.is_user_module,
        }

    @property
    def starts_at_floor(self) -> bool:
        """Whether the start is the state that training has to beat."""
        return self.floor is not None and self.floor is self.start

    @property
    def start_name(self) -> str | None:
        """Name of the state before the first step of the whole module, if it has one.

        It has none after parts of the module were trained.
        """
        return self.start.name if self.pretrain is None else None

    def n_epochs(self, n_rows: int, batch_size: int) -> int:
        """Return the number of passes over a number of training rows."""
        if self.max_epochs is not None:
            return self.max_epochs
        return recipe.n_epochs(self.optimizer, n_rows, batch_size, self.n_steps)

    def going_on_from(self, net: AutoencoderNet) -> "Plan":
        """Return the plan of a training that continues from a fitted net."""
        start = EarlierFit(net, with_noise=not self.fits_noise)
        return replace(
            self,
            start=start,
            floor=None if self.floor is None else start,
            pretrain=None,
            is_solved=False,
        )
