"""Learning-rate schedules."""

import math
from functools import partial
from typing import Any

from skorch.callbacks import Callback, LRScheduler

from skae.training._callbacks import Schedule, ScheduleLearningRate


def one_cycle(step: int, n_steps: int, warm_up: float = 0.1) -> float:
    """Compute the factor of the learning rate at a step.

    The factor rises from 1/25 to 1 and then falls to 0, along cosines. This is the
    policy of Smith and Topin (2018) without its cycle of the momentum.

    Parameters
    ----------
    step : int
        Number of steps done.

    n_steps : int
        Number of steps of the whole training.

    warm_up : float, default=0.1
        Share of the steps in which the rate rises.

    Returns
    -------
    factor : float
    """
    peak = warm_up * n_steps
    if step < peak:
        low, high, phase = 1 / 25, 1.0, 1 - step / peak
    else:
        low, high, phase = 0.0, 1.0, (step - peak) / (n_steps - peak)
    return low + (high - low) * (1 + math.cos(math.pi * min(phase, 1.0))) / 2


def cosine(step: int, n_steps: int) -> float:
    """Return the factor of the learning rate at a step: a cosine that falls to 0."""
    return (1 + math.cos(math.pi * min(step / n_steps, 1.0))) / 2


def has_schedule(callbacks: list | None) -> bool:
    """Return whether one of the callbacks of a net changes the learning rate."""
    found = [
        each[1] if isinstance(each, tuple | list) else each for each in callbacks or []
    ]
    return any(each is LRScheduler or isinstance(each, LRScheduler) for each in found)


def schedule_callbacks(schedule: Any, n_steps: int) -> list[Callback]:
    """Build the callbacks of a schedule.

    Parameters
    ----------
    schedule : None, {"one_cycle", "cosine"}, callable or skorch LRScheduler
        The schedule. A callable makes a torch scheduler from an optimizer; the
        scheduler is stepped after each epoch.

    n_steps : int
        Number of steps of the whole training.

    Returns
    -------
    callbacks : list of skorch callbacks
    """
    if schedule is None:
        return []
    if isinstance(schedule, LRScheduler):
        # The user's callback is not changed. A copy that supports several optimizers
        # replaces it.
        plain = type(schedule) is LRScheduler
        return [ScheduleLearningRate(**vars(schedule)) if plain else schedule]
    if not isinstance(schedule, str):
        return [ScheduleLearningRate(schedule, event_name=None)]
    factor = one_cycle if schedule == "one_cycle" else cosine
    return [Schedule(partial(factor, n_steps=n_steps))]
