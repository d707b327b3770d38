"""The floor: a state that is kept unless training beats it."""

import copy

import numpy as np

from skae.training._batches import Rows
from skae.training._gaps import filled, fit_fill
from skae.training._holding_out import Split
from skae.training._net import AutoencoderNet
from skae.training._selection import compare
from skae.training._starts import Start
from skae.training._table import Table
from skae.training._tensor_net import forget_optimizer_state


class Floor:
    """The floor of a training, made before training and compared after it.

    Parameters
    ----------
    start : Start
        State of the floor.

    net : AutoencoderNet
        Net in the state to start from. This state does not change.

    is_start : bool
        Whether the state to start from is the floor itself.

    table : Table
        All rows. The floor that is kept is fitted to them.

    split : Split
        Training and validation rows.

    valid : Rows
        Validation rows on the device of the net. Noisy rows have several copies, one
        after the other.

    random_state : RandomState
        Source of random numbers for starts.

    seed : int
        Seed of the layer that fills missing values, the same as for training rows.
    """

    def __init__(
        self,
        start: Start,
        net: AutoencoderNet,
        *,
        is_start: bool,
        table: Table,
        split: Split,
        valid: Rows,
        random_state: np.random.RandomState,
        seed: int,
    ) -> None:
        self._seed = seed
        assert split.valid is not None  # as `valid` is
        self._start = start
        self._net = net
        self._table = table
        self._held_out = split.valid
        self._valid = valid
        self._random_state = random_state
        if is_start:
            self._losses = net.row_losses(valid)
            return
        state = copy.deepcopy(net.plain_module_.state_dict())
        start.set(net, split.train, random_state)
        self._losses = net.row_losses(valid)
        net.plain_module_.load_state_dict(state)

    @property
    def loss(self) -> float:
        """Mean validation loss that training has to beat."""
        return self._valid.average(self._losses)

    def why_kept(self) -> str | None:
        """Keep the trained state if it is better, else the floor.

        Return None, or the reason why the floor is kept.

        The floor that is kept is fitted to all rows, including the validation rows.
        These may include a row unlike all others, which the trained state has not
        learned. So the trained state also has to beat this floor. It need not if noise
        hides values, because this floor was fitted to the hidden values themselves.
        """
        net, held_out = self._net, self._held_out
        losses = net.row_losses(self._valid)
        trained = copy.deepcopy(net.plain_module_.state_dict())
        table = self._table
        fill = getattr(net.plain_module_, "fill", None)
        # `fill` is not set for series, which end in NaN.
        if table.missing and fill is not None and fill.is_set:
            table = fit_fill(net.plain_module_, table, self._seed)
            if not self._start.takes_gaps:
                table = filled(
                    net.plain_module_, table, returns_gaps=net.objective.returns_gaps
                )
        self._start.set(net, table, self._random_state)
        losses, start_losses, floor_losses = (
            each.reshape(-1, len(held_out)).mean(axis=0)
            for each in (losses, self._losses, net.row_losses(self._valid))
        )
        gain = np.average(floor_losses - losses, weights=held_out.weight)
        knows_hidden = net.objective.needs_noise
        # Negative losses, which a user's loss may have, have no logarithm.
        negative = min(losses.min(), start_losses.min()) < 0
        comparison = compare(
            losses,
            start_losses,
            held_out.weight,
            held_out.groups,
            logarithmic=net.objective.logarithmic or negative,
        )
        if (gain > 0 or knows_hidden) and comparison.better:
            self._start.keep(net, trained)
            return None
        forget_optimizer_state(net)
        if comparison.better:
            return (
                f"the trained network beat the {self._start.name} of the training "
                "rows, but not the one of all rows"
            )
        if comparison.gain <= 0:
            return "training did not lower the mean loss of the validation rows"
        return (
            "training lowered the mean loss of the validation rows by "
            f"{100 * comparison.gain:.2g} %, which may be chance: a paired test has "
            f"p = {comparison.p_value:.2g}, which must be below {comparison.level:g}"
        )
