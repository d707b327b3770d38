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
    """The floor of a training, to be made before it and asked after it.

    Parameters
    ----------
    start : Start
        State of the floor.

    net : AutoencoderNet
        Net in the state to start from, which it is left in.

    is_start : bool
        Whether that state is the floor itself.

    table : Table
        All rows, which the floor that is kept is fitted to.

    split : Split
        Rows that train, and rows that validate.

    valid : Rows
        Validation rows on the net's device; for noisy rows several copies, one after
        the other.

    random_state : RandomState
        Where starts draw from.

    seed : int
        Seed of what fills gaps, which is that of the training rows.
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
        """Mean loss of the validation rows that training has to beat."""
        return self._valid.average(self._losses)

    def why_kept(self) -> str | None:
        """Keep the state trained if it is better, else the floor.

        Return None, or the reason why the floor is kept.

        The floor of all rows is kept otherwise. It has seen the rows held out, but a
        row like no other may be among them, and the state trained has not learned it:
        it has to be better than this floor, too. But it need not be if the floor has
        learned the very values that are hidden, and knows them by heart.
        """
        net, held_out = self._net, self._held_out
        losses = net.row_losses(self._valid)
        trained = copy.deepcopy(net.plain_module_.state_dict())
        table = self._table
        fill = getattr(net.plain_module_, "fill", None)
        # That of series, which end in NaN, is not set.
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
        # Losses of the user's that are below zero have no logarithm.
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
                f"the trained network beat the {self._start.name} of its training "
                "rows, but not that of all rows"
            )
        if comparison.gain <= 0:
            return "training did not lower the mean loss of the rows held out"
        return (
            "training lowered the mean loss of the rows held out by "
            f"{100 * comparison.gain:.2g} %, which may be chance: a paired test has "
            f"p = {comparison.p_value:.2g}, and less than {comparison.level:g} is "
            "needed"
        )
