"""Training of a net: validation rows, start, training and the state that is kept."""

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from sklearn.exceptions import ConvergenceWarning

from skae import _checks as checks
from skae._fitting import TrainedEstimator, clipping
from skae._plan import Plan
from skae._report import warn
from skae._tasks import FitTasks
from skae.losses import as_loss
from skae.noise import draws_globally
from skae.training import (
    MIN_VALIDATION_ROWS,
    AutoencoderNet,
    Floor,
    Rows,
    Run,
    Split,
    Table,
    TensorNet,
    distinct_with_weights,
    filled,
    fit_fill,
    float_tensor,
    prepare_for_gaps,
    run,
    share_in,
)

# Copy validation rows if they have at most this number of values.
_FEW_VALUES = 2**21


def on_device(estimator: TrainedEstimator, net: TensorNet, table: Table) -> Rows:
    """Return rows on the device of a net."""
    # The user's callbacks and iterators may change them.
    copied = bool(estimator.callbacks or estimator.net_params)
    return table.on(net.device, copy=copied)


def fit_net(
    estimator: Any,
    net: AutoencoderNet,
    plan: Plan,
    table: Table,
    table_val: Table | None,
    tasks: FitTasks,
) -> tuple[Run, int]:
    """Hold out rows, set the start, train, and keep the floor unless training beats it.

    The trained module is also prepared to fill missing values of new rows.

    Returns
    -------
    result : Run
        Result of the training.

    n_epochs : int
        Number of epochs that was planned.
    """
    split = split_rows(estimator, plan, table, table_val)
    table = split.whole(table)
    complete = _without_gaps(estimator, net, plan, split.train)
    on_gaps = plan.objective.trains_on_gaps
    train = on_device(estimator, net, split.train if on_gaps else complete)
    net.set_loss_unit(train)
    with net.with_rows(train, _given(estimator, net, split.train)):
        set_start(estimator, net, plan, complete)
        too_few = split.valid is None and estimator.validation_fraction is not None
        if plan.floor is not None and too_few:
            result = _keep_floor_of_few(estimator, net, plan, table, complete)
            take_gaps_from_now_on(estimator, net, plan, table)
            return result, 0
        rows = _with_validation_rows(estimator, net, plan, train, split.valid)
        floor = None
        if plan.floor is not None and rows.valid is not None:
            floor = Floor(
                plan.floor,
                net,
                is_start=plan.starts_at_floor,
                table=table,
                split=split._replace(train=complete),
                valid=rows.valid,
                random_state=estimator._rng,
                seed=estimator._split_seed,
            )
        result, n_epochs = _train(estimator, net, plan, table, rows, tasks)
        if rows.valid is not None:
            net.settle(rows.valid)
        why = None if floor is None else floor.why_kept()
        if floor is not None and why is not None:
            result = _with_floor(estimator, plan, result, floor, why)
        if plan.is_solved:
            result = result._replace(
                why_start="it is the best state of a network without hidden layers"
            )
        take_gaps_from_now_on(estimator, net, plan, table)
    return result, n_epochs


def pass_over(
    estimator: Any,
    net: AutoencoderNet,
    plan: Plan,
    table: Table,
    tasks: FitTasks,
    *,
    first: bool,
) -> Run:
    """Train for one pass over a table; set the start before the first pass."""
    complete = _without_gaps(estimator, net, plan, table, first=first)
    on_gaps = plan.objective.trains_on_gaps
    rows = on_device(estimator, net, table if on_gaps else complete)
    go_on = True
    with net.with_rows(rows, _given(estimator, net, table)):
        if first:
            net.set_loss_unit(rows)
            set_start(estimator, net, plan, complete)
            go_on = not plan.is_solved
            if plan.pretrain is not None:
                go_on = plan.pretrain(net, rows, None, tasks)
        n_epochs = int(go_on)
        return run(
            net,
            rows,
            None,
            n_epochs=n_epochs,
            callbacks=clipping(plan),
            # The estimator after the epoch is the one after the whole call.
            watcher=tasks.epochs(n_epochs, None, "all layers"),
        )._replace(start=plan.start_name or "the start")


def _given(estimator: Any, net: AutoencoderNet, table: Table) -> Rows | None:
    """Return rows with missing values, if the noise makes similar ones."""
    wanted = net.makes_gaps and table.missing
    return on_device(estimator, net, table) if wanted else None


def fills_gaps(estimator: Any) -> bool:
    """Return whether the module of an estimator fills missing values."""
    return estimator._fills_gaps and not estimator._has_user_module


def take_gaps_from_now_on(
    estimator: Any, net: AutoencoderNet, plan: Plan, table: Table
) -> None:
    """Prepare a trained module to fill missing values of new rows."""
    if fills_gaps(estimator):
        prepare_for_gaps(
            net.plain_module_,
            table,
            estimator._split_seed,
            by_means=plan.objective.returns_gaps,
        )


def _without_gaps(
    estimator: Any,
    net: AutoencoderNet,
    plan: Plan,
    table: Table,
    *,
    first: bool = True,
) -> Table:
    """Return training rows, with missing values filled if the module fills them.

    `first` says that the module must first be fitted to rows for that.
    """
    if not fills_gaps(estimator):
        return table
    module = net.plain_module_
    if first and (net.objective.missing or net.makes_gaps):
        table = fit_fill(module, table, estimator._split_seed)
    if plan.start.takes_gaps:
        return table
    loss = as_loss(estimator.loss)
    gaps = net.objective.returns_gaps
    return filled(module, table, loss.low, loss.high, returns_gaps=gaps)


class _DeviceRows(NamedTuple):
    """Rows on the device: training rows, validation rows, and these without noise."""

    train: Rows
    valid: Rows | None
    clean: Rows | None


def set_start(estimator: Any, net: AutoencoderNet, plan: Plan, table: Table) -> None:
    """Fit the noise to training rows, and set the state before the first step."""
    if plan.fits_noise and net.noise_ is not None:
        columns = table.columns
        sample: Any = table.sample().inputs
        with net.guarded():
            rows = float_tensor(sample, copy=draws_globally(net.noise_))
            net.noise_.fit(rows, *map(torch.as_tensor, columns))
        checks.check_noise(net, float_tensor(sample[:2], net.device, copy=True))
    emphasis = getattr(plan.objective, "emphasis", None)
    if emphasis is not None:
        checks.check_emphasis(emphasis, net.criterion_, net.noise_)
    plan.start.set(net, table, estimator._rng)
    if plan.start.standardizes:
        module = net.plain_module_
        checks.check_offset(module.mean, module.scale)
        if hasattr(module, "output_mean"):
            checks.check_offset(module.output_mean, module.output_scale, "y")


def _train(
    estimator: Any,
    net: AutoencoderNet,
    plan: Plan,
    table: Table,
    rows: _DeviceRows,
    tasks: FitTasks,
) -> tuple[Run, int]:
    """Train parts of the module if the plan has some, then all of it."""
    go_on = not plan.is_solved
    if plan.pretrain is not None:
        go_on = plan.pretrain(net, rows.train, rows.valid, tasks)
    n_epochs = plan.n_epochs(len(rows.train), net.batch_size) if go_on else 0
    fitted_so_far = partial(estimator._fitted_so_far, table=table)
    result = estimator._run(
        net,
        plan,
        rows.train,
        rows.valid,
        clean=rows.clean,
        n_epochs=n_epochs,
        watcher=tasks.epochs(n_epochs, fitted_so_far, "all layers"),
    )
    return result._replace(start=plan.start_name or "the start"), n_epochs


def split_rows(
    estimator: Any, plan: Plan, table: Table, table_val: Table | None
) -> Split:
    """Choose the training rows, and the validation rows if there are any."""
    has_floor = plan.floor is not None
    fraction = estimator.validation_fraction
    if table_val is not None:
        table_val = table_val.sample()
        _check_validation_rows(table, table_val, has_floor)
        return Split(table, distinct_with_weights(table_val))
    split = Split(table)
    if fraction is not None:
        split = plan.hold_out(
            table,
            fraction=fraction,
            needed=MIN_VALIDATION_ROWS if has_floor else 1,
            seed=estimator._split_seed,
        )
    keeps_floor = has_floor and fraction is not None
    asked = estimator.early_stopping not in (False, "auto")
    if asked and split.valid is None and not keeps_floor:
        raise ValueError(
            "early_stopping=True needs validation rows, and there are none: pass "
            "X_val to fit, or set validation_fraction so that it leaves some of "
            f"the {_count(table)} of X."
        )
    return split


def _check_validation_rows(table: Table, table_val: Table, has_floor: bool) -> None:
    """Raise if validation rows are too few, and warn if they are training rows."""
    if has_floor and table_val.n_distinct() < MIN_VALIDATION_ROWS:
        raise ValueError(
            f"X_val has {_count(table_val)}; at least {MIN_VALIDATION_ROWS} are "
            "needed to test for an improvement on the start. Pass more, or "
            "set init='random'."
        )
    # A table in a file would have to be read only for this.
    share = 0.0 if table.large else share_in(table, table_val)
    if share > 0.5:
        warn(
            f"{share:.0%} of the rows of X_val are also rows of X. Overfitting lowers "
            "their loss, too: leave them out of X, or let fit hold out rows itself."
        )


def _count(table: Table) -> str:
    """Return the number of rows in words, or of distinct rows if there are copies."""
    n_distinct = table.n_distinct()
    if n_distinct == len(table):
        return f"{len(table)} rows"
    return f"{n_distinct} distinct row{'s' if n_distinct > 1 else ''}"


def _with_validation_rows(
    estimator: Any, net: AutoencoderNet, plan: Plan, train: Rows, table: Table | None
) -> _DeviceRows:
    """Return rows with validation rows: for a denoiser, noisy and clean copies."""
    if table is None:
        return _DeviceRows(train, None, None)
    rows = on_device(estimator, net, table)
    # They are used after each epoch; noisy copies are made in memory.
    if len(table) * table.n_features <= _FEW_VALUES or plan.validates_noisy:
        rows = rows.in_memory()
    if not plan.validates_noisy:
        # The fill does not change in training, so compute it once.
        if fills_gaps(estimator) and table.missing and table.targets is None:
            rows = rows.in_memory()
            rows = Rows((net.plain_module_.fill(rows.X), rows.X), rows.weight)
        return _DeviceRows(train, rows, None)
    # Draw noise once, so that the curve does not depend on the draws.
    generator = torch.Generator(net.device).manual_seed(estimator._split_seed)
    # With fewer noisy rows, the result would depend on the draw of the noise.
    n_copies = math.ceil(plan.n_noisy_rows / len(table))
    clean = rows.X.repeat(n_copies, 1)
    weight = None if rows.weight is None else rows.weight.repeat(n_copies)
    inputs = net.corrupt(clean, generator)
    gaps = table.missing or net.makes_gaps
    if gaps and fills_gaps(estimator) and not net.objective.needs_noise:
        inputs = net.plain_module_.fill(inputs)
    noisy = Rows((inputs, clean), weight)
    return _DeviceRows(train, noisy, None if net.objective.needs_noise else rows)


def _keep_floor_of_few(
    estimator: Any,
    net: AutoencoderNet,
    plan: Plan,
    table: Table,
    complete: Table,
) -> Run:
    """Keep the floor if there are too few rows to hold some out."""
    floor: Any = plan.floor
    if not plan.starts_at_floor:
        floor.set(net, complete, estimator._rng)
        _warn_of_floor(
            estimator,
            plan,
            f"X has {_count(table)}, too few to hold out {MIN_VALIDATION_ROWS} of "
            "them, as needed to test whether training helps",
        )
    # Noisy copies of rows are made in memory.
    if plan.validates_noisy:
        table = table.draw(_FEW_VALUES // table.n_features + 1, estimator._split_seed)
    train = on_device(estimator, net, table)
    rows = _with_validation_rows(estimator, net, plan, train, table)
    loss = net.mean_loss(rows.valid)  # type: ignore[arg-type]
    return Run(
        [],
        [],
        best_epoch=0,
        best_loss=loss,
        start=floor.name,
        why_start=_why_too_few(table),
    )


def _why_too_few(table: Table) -> str:
    """Return that rows are too few to hold some out, and what may help."""
    n_distinct = table.n_distinct()
    text = f"too few of {_count(table)} can be held out to tell whether training helps"
    fraction = math.ceil(20 * MIN_VALIDATION_ROWS / n_distinct) / 20
    if fraction <= 0.5:
        text += f"; validation_fraction={fraction:g} would hold out enough"
    return text


def _with_floor(estimator: Any, plan: Plan, result: Run, floor: Floor, why: str) -> Run:
    """Return the result of a training that did not beat the floor."""
    start: Any = plan.floor
    if not plan.starts_at_floor:
        _warn_of_floor(
            estimator,
            plan,
            f"in {len(result.loss_curve)} epochs, training did not beat "
            f"{start.name} with as many components on held-out rows",
        )
    return result._replace(
        best_epoch=0, best_loss=floor.loss, start=start.name, why_start=why
    )


def _warn_of_floor(estimator: Any, plan: Plan, reason: str) -> None:
    """Warn that the kept state is neither the start nor a trained one."""
    floor: Any = plan.floor
    warn(
        f"{type(estimator).__name__}: {reason}. The fitted model is {floor.name} of "
        "all rows. Try more rows, another n_components or a larger max_epochs; "
        "init='random' keeps the trained network, better or not.",
        ConvergenceWarning,
    )
