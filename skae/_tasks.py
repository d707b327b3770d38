"""The tasks of a fit, of which scikit-learn's callbacks are told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.frozen import FrozenEstimator

from skae.training import Run, TensorNet

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there is no `set_callbacks`."""


__all__ = ["CallbackSupportMixin", "EpochTasks", "FitTasks", "belongs_to_callbacks"]

# Where scikit-learn keeps callbacks: always, during a fit, and during a fit of another.
_ATTRIBUTES = ("_skl_callbacks", "_callback_fit_ctx", "_parent_callback_ctx")


def belongs_to_callbacks(attribute: str) -> bool:
    """Tell whether an attribute of an estimator is there for its callbacks."""
    return attribute.startswith(_ATTRIBUTES)


class FitTasks:
    """The tasks of a fit: the fit itself, its parts if it has several, and epochs.

    To be made first in `fit`: when an error leaves the estimator as it was before,
    scikit-learn still has to find the callbacks that it set up here.

    Parameters
    ----------
    estimator : estimator
        What is fitted.

    X, y, sample_weight : array-like, default=None
        What it is fitted to, as callbacks are to see it.
    """

    def __init__(
        self, estimator: Any, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> None:
        self._estimator = estimator
        self.set_rows(X, y, sample_weight)
        self._begun = False
        self._root: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=None)

    def set_rows(self, X: Any, y: Any, sample_weight: Any) -> None:
        """Set what the estimator is fitted to."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._rows = {"X": X, "y": y, "metadata": metadata}

    def begin(self, n_subtasks: int) -> None:
        """Begin the fit, now that it is known how many tasks it has."""
        self._begun = True
        if self._root is not None:
            self._root.max_subtasks = n_subtasks
            self.tell_begin(self._root)

    def end(self) -> None:
        """End the fit; the estimator is fitted."""
        if not self._begun:
            self.begin(0)
        if self._root is not None:
            self.tell_end(self._root, dict)

    @contextmanager
    def part_fitting(self, estimator: Any, name: str) -> Iterator[None]:
        """Context in which another estimator is fitted, as a part of this fit."""
        if self._root is None or isinstance(estimator, FrozenEstimator):
            yield
            return
        part = self._root.subcontext(name)
        with part.propagate_callback_context(estimator):
            self.tell_begin(part)
            yield
            self.tell_end(part)

    def epochs(
        self,
        n_epochs: int,
        attributes: Callable[[TensorNet, Run], dict[str, Any]] | None,
        name: str,
    ) -> "EpochTasks | None":
        """Give what is to be told of a run; None if nobody listens.

        Its epochs are tasks of the fit, or of a part if the fit has begun already.

        Parameters
        ----------
        n_epochs : int
            Epochs of the run.

        attributes : callable or None
            Takes the net and what happened so far, and gives the attributes of an
            estimator fitted that far. None, where that is no estimator to use.

        name : str
            Name of the part.
        """
        is_part = self._begun
        if not is_part:
            self.begin(n_epochs)
        if not hasattr(self._estimator, "_skl_callbacks"):
            return None
        task = self._root
        if is_part:
            task = task.subcontext(name, max_subtasks=n_epochs)
            self.tell_begin(task)
        return EpochTasks(self, task, attributes, ends=is_part)

    def tell_begin(self, task: Any) -> None:
        """Tell callbacks that a task begins."""
        task.call_on_fit_task_begin(estimator=self._estimator, **self._rows)

    def tell_end(
        self, task: Any, attributes: Callable[[], dict[str, Any]] | None = None
    ) -> bool:
        """Tell callbacks that a task has ended, and whether they ask to stop.

        `attributes` gives what makes a fitted estimator of a copy of this one.
        """
        return task.call_on_fit_task_end(
            estimator=self._estimator,
            **self._rows,
            reconstruction_attributes=attributes,
        )


class EpochTasks:
    """The epochs of a run as tasks."""

    def __init__(
        self,
        fit: FitTasks,
        task: Any,
        attributes: Callable[[TensorNet, Run], dict[str, Any]] | None,
        ends: bool,
    ) -> None:
        self._fit = fit
        self._task = task
        self._attributes = attributes
        self._ends = ends
        self._epoch: Any = None

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        self._epoch = self._task.subcontext("epoch")
        self._fit.tell_begin(self._epoch)

    def end_epoch(self, so_far: Callable[[], tuple[TensorNet, Run]]) -> bool:
        """Tell that it has ended, and whether to stop the run."""
        epoch, self._epoch = self._epoch, None
        attributes = self._attributes
        return self._fit.tell_end(
            epoch, None if attributes is None else lambda: attributes(*so_far())
        )

    def end_run(self) -> None:
        """Tell that no more epochs come; one that has not ended was broken off."""
        if self._epoch is not None:
            self._fit.tell_end(self._epoch)
        if self._ends:
            self._fit.tell_end(self._task)
