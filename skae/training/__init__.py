"""The engine that trains every estimator's module."""

from skae.training import _recipe as recipe
from skae.training._batches import Rows
from skae.training._callbacks import ProgressBar
from skae.training._console import show
from skae.training._denoising import denoising_start, full_width, paired_start
from skae.training._distinct import (
    count_distinct,
    distinct_rows,
    ordered_distinct_rows,
    row_hashes,
)
from skae.training._holding_out import (
    MIN_VALIDATION_ROWS,
    Split,
    distinct_with_weights,
    hold_out,
    share_in,
)
from skae.training._modes import own_modes
from skae.training._net import AutoencoderNet
from skae.training._random import (
    PrivateRandomState,
    private_draws,
    private_generator,
)
from skae.training._recurrent import SeriesNet, fill_ends
from skae.training._run import Run, run
from skae.training._schedule import has_schedule, schedule_callbacks
from skae.training._selection import is_better, spread_sample
from skae.training._sparse import SparseNet, start_as_atoms, start_as_pairs
from skae.training._start import (
    Columns,
    LinearStart,
    column_statistics,
    pca_start,
    standardize,
    start_statistics,
)
from skae.training._streaming import (
    LargeTable,
    Pairs,
    StreamedRows,
    Table,
    dense_rows,
    device_rows,
    float_tensor,
    inputs_of,
    is_large,
    mapped,
    n_rows_in,
    share_memory,
    take_rows,
)
from skae.training._supervised import FreezeEncoder, SupervisedNet
from skae.training._tensor_net import TensorNet, check_made, making_module
from skae.training._threads import on_one_thread, threads_for
from skae.training._variational import (
    GaussianStart,
    VariationalNet,
    factor_analysis_start,
    fixed_draws,
    log_mean_weight,
    min_variance,
    probabilistic_pca_start,
)

__all__ = [
    "MIN_VALIDATION_ROWS",
    "AutoencoderNet",
    "Columns",
    "FreezeEncoder",
    "GaussianStart",
    "LargeTable",
    "LinearStart",
    "Pairs",
    "PrivateRandomState",
    "ProgressBar",
    "Rows",
    "Run",
    "SeriesNet",
    "SparseNet",
    "Split",
    "StreamedRows",
    "SupervisedNet",
    "Table",
    "TensorNet",
    "VariationalNet",
    "check_made",
    "column_statistics",
    "count_distinct",
    "denoising_start",
    "dense_rows",
    "device_rows",
    "distinct_rows",
    "distinct_with_weights",
    "factor_analysis_start",
    "fill_ends",
    "fixed_draws",
    "float_tensor",
    "full_width",
    "has_schedule",
    "hold_out",
    "inputs_of",
    "is_better",
    "is_large",
    "log_mean_weight",
    "making_module",
    "mapped",
    "min_variance",
    "n_rows_in",
    "on_one_thread",
    "ordered_distinct_rows",
    "own_modes",
    "paired_start",
    "pca_start",
    "private_draws",
    "private_generator",
    "probabilistic_pca_start",
    "recipe",
    "row_hashes",
    "run",
    "schedule_callbacks",
    "share_in",
    "share_memory",
    "show",
    "spread_sample",
    "standardize",
    "start_as_atoms",
    "start_as_pairs",
    "start_statistics",
    "take_rows",
    "threads_for",
]
