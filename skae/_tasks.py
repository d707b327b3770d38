"""The tasks of a fit, for the callbacks of scikit-learn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.frozen import FrozenEstimator

from skae.training import Run, TensorNet

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin, without `set_callbacks`."""


__all__ = ["CallbackSupportMixin", "EpochTasks", "FitTasks", "belongs_to_callbacks"]

# Attributes in which scikit-learn stores callbacks: always, during a fit, and during
# the fit of an outer estimator.
_ATTRIBUTES = ("_skl_callbacks", "_callback_fit_ctx", "_parent_callback_ctx")


def belongs_to_callbacks(attribute: str) -> bool:
    """Return whether scikit-learn stores callbacks in an attribute of an estimator."""
    return attribute.startswith(_ATTRIBUTES)


class FitTasks:
    """The tasks of a fit: the fit itself, its parts if it has several, and epochs.

    Make it at the beginning of `fit`. If an error resets the estimator to its earlier
    state, scikit-learn still has to find the callbacks that it set up here.

    Parameters
    ----------
    estimator : estimator
        Estimator to fit.

    X, y, sample_weight : array-like, default=None
        Data of the fit, as callbacks should see it.
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
        """Set the data that the estimator is fitted to."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._rows = {"X": X, "y": y, "metadata": metadata}

    def begin(self, n_subtasks: int) -> None:
        """Begin the fit, once its number of tasks is known."""
        self._begun = True
        if self._root is not None:
            self._root.max_subtasks = n_subtasks
            self.call_begin(self._root)

    def end(self) -> None:
        """End the fit, once the estimator is fitted."""
        if not self._begun:
            self.begin(0)
        if self._root is not None:
            self.call_end(self._root, dict)

    @contextmanager
    def part_fitting(self, estimator: Any, name: str) -> Iterator[None]:
        """Return a context to fit another estimator in, as a part of this fit."""
        if self._root is None or isinstance(estimator, FrozenEstimator):
            yield
            return
        part = self._root.subcontext(name)
        with part.propagate_callback_context(estimator):
            self.call_begin(part)
            yield
            self.call_end(part)

    def epochs(
        self,
        n_epochs: int,
        attributes: Callable[[TensorNet, Run], dict[str, Any]] | None,
        name: str,
    ) -> "EpochTasks | None":
        """Return the epochs of a run as tasks, or None if there are no callbacks.

        They are tasks of the fit, or of a part of it if the fit has already begun.

        Parameters
        ----------
        n_epochs : int
            Number of epochs of the run.

        attributes : callable or None
            Function of the net and the run so far. It returns the attributes of an
            estimator that is fitted that far. None means that the estimator cannot be
            used before the end of the fit.

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
            self.call_begin(task)
        return EpochTasks(self, task, attributes, ends=is_part)

    def call_begin(self, task: Any) -> None:
        """Call the callbacks at the beginning of a task."""
        task.call_on_fit_task_begin(estimator=self._estimator, **self._rows)

    def call_end(
        self, task: Any, attributes: Callable[[], dict[str, Any]] | None = None
    ) -> bool:
        """Call the callbacks at the end of a task, and return whether to stop.

        `attributes` returns the attributes that make a copy of this estimator a fitted
        one.
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
        """Call the callbacks at the beginning of an epoch."""
        self._epoch = self._task.subcontext("epoch")
        self._fit.call_begin(self._epoch)

    def end_epoch(self, so_far: Callable[[], tuple[TensorNet, Run]]) -> bool:
        """Call the callbacks at the end of the epoch, and return whether to stop."""
        epoch, self._epoch = self._epoch, None
        attributes = self._attributes
        return self._fit.call_end(
            epoch, None if attributes is None else lambda: attributes(*so_far())
        )

    def end_run(self) -> None:
        """End the run, and also its last epoch if that was interrupted."""
        if self._epoch is not None:
            self._fit.call_end(self._epoch)
        if self._ends:
            self._fit.call_end(self._task)
