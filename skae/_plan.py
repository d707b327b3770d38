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
    """What an estimator decides from its parameters and its training rows.

    Everything that builds, trains and compares reads the plan, and nothing is asked
    twice.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        The module, or what makes it.

    arguments : dict, default={}
        Arguments that it is made with.

    is_user_module : bool, default=False
        Whether the module is one of the user's, of which nothing is known.

    criterion : torch.nn.Module class or instance, default=torch.nn.MSELoss
        Loss of reconstructions and rows.

    objective : Objective, default=Reconstruction()
        How the loss of rows comes from the module and the criterion.

    noise : Noise, default=None
        Noise on the encoder's input in training.

    fits_noise : bool, default=False
        Whether the noise is fitted to the training rows.

    validates_noisy : bool, default=False
        Whether validation rows have the noise, too.

    n_noisy_rows : int, default=512
        Fewest of them: with fewer rows, there are several copies of each.

    start : Start, default=AsBuilt()
        State before the first step.

    floor : Start, default=None
        State that is kept unless training beats it; it may be `start` itself. None:
        what is trained is kept, better or not.

    hold_out : callable, default=hold_out
        How rows to validate on are chosen; called as `skae.training.hold_out`.

    pretrain : callable, default=None
        Takes the net, training and validation rows and the tasks of the fit, trains
        parts of the module, and returns whether to go on with the whole.

    is_solved : bool, default=False
        Whether the start is the optimum, so that nothing is left to train.

    optimizer : str or torch.optim.Optimizer class, default="adam"
        Optimizer.

    lr : float, default=3e-3
        Learning rate.

    lr_schedule : object, default="auto"
        How the rate changes, as the parameter of that name has it.

    weight_decay : float, default=0.0
        Weight decay.

    batch_size : int, default=256
        Rows in a step.

    max_epochs : int, default=None
        Passes over the training rows. None: as many as make `n_steps` steps.

    n_steps : int, default=2000
        Steps, where `max_epochs` is None.

    clip_norm : float, default=None
        Bound of the norm of gradients.

    net_class : type, default=AutoencoderNet
        Kind of the net.

    net_options : dict, default=None
        Further arguments of the net, instead of those that an autoencoder's has.
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
        """Arguments that are particular to the kind of net."""
        if self.net_options is not None:
            return self.net_options
        return {
            "objective": self.objective,
            "noise": self.noise,
            "copy_rows": self.is_user_module,
        }

    @property
    def starts_at_floor(self) -> bool:
        """Whether the start itself is what training has to beat."""
        return self.floor is not None and self.floor is self.start

    @property
    def start_name(self) -> str | None:
        """Name of the state before the first step of the whole module, if it has one.

        It has none after parts of the module were trained.
        """
        return self.start.name if self.pretrain is None else None

    def n_epochs(self, n_rows: int, batch_size: int) -> int:
        """Return the number of passes over so many training rows."""
        if self.max_epochs is not None:
            return self.max_epochs
        return recipe.n_epochs(self.optimizer, n_rows, batch_size, self.n_steps)

    def going_on_from(self, net: AutoencoderNet) -> "Plan":
        """Return the plan of a training that goes on from a fitted net."""
        start = EarlierFit(net, with_noise=not self.fits_noise)
        return replace(
            self,
            start=start,
            floor=None if self.floor is None else start,
            pretrain=None,
            is_solved=False,
        )
