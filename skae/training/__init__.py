"""The engine that trains every estimator's module."""

from skae.training import _recipe as recipe
from skae.training._batches import Rows
from skae.training._callbacks import ProgressBar
from skae.training._console import show
from skae.training._distinct import (
    count_distinct,
    distinct_pairs,
    distinct_rows,
    ordered_distinct_rows,
    row_hashes,
)
from skae.training._floor import Floor
from skae.training._gaps import filled, fit_fill, prepare_for_gaps
from skae.training._gaussian import min_variance
from skae.training._holding_out import (
    MIN_VALIDATION_ROWS,
    CalibrationSplit,
    Distinct,
    Split,
    distinct_at_random,
    distinct_with_weights,
    hold_out,
    hold_out_none,
    hold_out_strata,
    hold_out_to_calibrate,
    mean_one,
    share_in,
)
from skae.training._linear_denoiser import full_width
from skae.training._mixed_pca import mixed_loss, mixed_scale
from skae.training._modes import own_modes
from skae.training._net import AutoencoderNet
from skae.training._pca import fit_pca
from skae.training._random import (
    PrivateRandomState,
    private_draws,
    private_generator,
)
from skae.training._run import Run, run
from skae.training._schedule import has_schedule, schedule_callbacks
from skae.training._selection import is_better, spread_sample
from skae.training._starts import (
    AsBuilt,
    Atoms,
    EarlierFit,
    FactorAnalysisStart,
    GaussianStart,
    LinearDenoiser,
    MixedPCA,
    MixedStart,
    PairedDenoiser,
    PCAStart,
    ProbabilisticPCA,
    SignedPCA,
    Start,
    TargetUnits,
    standardize,
)
from skae.training._statistics import (
    Columns,
    column_statistics,
    fill_missing,
    standardization,
)
from skae.training._streaming import (
    LargeTable,
    Matrix,
    StreamedRows,
    float_tensor,
    is_large,
    mapped,
    n_rows_in,
    share_memory,
)
from skae.training._supervised import FreezeEncoder, SupervisedNet
from skae.training._table import Table
from skae.training._tensor_net import (
    TensorNet,
    check_made,
    forget_optimizer_state,
    making_module,
    set_lr,
)
from skae.training._threads import on_one_thread, threads_for
from skae.training._turn import CodeTurn, turn_of

__all__ = [
    "MIN_VALIDATION_ROWS",
    "AsBuilt",
    "Atoms",
    "AutoencoderNet",
    "CalibrationSplit",
    "CodeTurn",
    "Columns",
    "Distinct",
    "EarlierFit",
    "FactorAnalysisStart",
    "Floor",
    "FreezeEncoder",
    "GaussianStart",
    "LargeTable",
    "LinearDenoiser",
    "Matrix",
    "MixedPCA",
    "MixedStart",
    "PCAStart",
    "PairedDenoiser",
    "PrivateRandomState",
    "ProbabilisticPCA",
    "ProgressBar",
    "Rows",
    "Run",
    "SignedPCA",
    "Split",
    "Start",
    "StreamedRows",
    "SupervisedNet",
    "Table",
    "TargetUnits",
    "TensorNet",
    "check_made",
    "column_statistics",
    "count_distinct",
    "distinct_at_random",
    "distinct_pairs",
    "distinct_rows",
    "distinct_with_weights",
    "fill_missing",
    "filled",
    "fit_fill",
    "fit_pca",
    "float_tensor",
    "forget_optimizer_state",
    "full_width",
    "has_schedule",
    "hold_out",
    "hold_out_none",
    "hold_out_strata",
    "hold_out_to_calibrate",
    "is_better",
    "is_large",
    "making_module",
    "mapped",
    "mean_one",
    "min_variance",
    "mixed_loss",
    "mixed_scale",
    "n_rows_in",
    "on_one_thread",
    "ordered_distinct_rows",
    "own_modes",
    "prepare_for_gaps",
    "private_draws",
    "private_generator",
    "recipe",
    "row_hashes",
    "run",
    "schedule_callbacks",
    "set_lr",
    "share_in",
    "share_memory",
    "show",
    "spread_sample",
    "standardization",
    "standardize",
    "threads_for",
    "turn_of",
]
