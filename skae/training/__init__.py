"""The engine that trains every estimator's module."""

from skae.training import _recipe as recipe
from skae.training._batches import Rows
from skae.training._callbacks import ProgressBar
from skae.training._denoising import denoising_start, full_width
from skae.training._net import AutoencoderNet
from skae.training._random import PrivateRandomState, private_generator
from skae.training._run import Run, float_tensor, run
from skae.training._schedule import schedule_callbacks
from skae.training._selection import is_better, spread_sample
from skae.training._start import (
    Columns,
    LinearStart,
    as_bytes,
    column_statistics,
    pca_start,
)
from skae.training._supervised import FreezeEncoder, SupervisedNet

__all__ = [
    "AutoencoderNet",
    "Columns",
    "FreezeEncoder",
    "LinearStart",
    "PrivateRandomState",
    "ProgressBar",
    "Rows",
    "Run",
    "SupervisedNet",
    "as_bytes",
    "column_statistics",
    "denoising_start",
    "float_tensor",
    "full_width",
    "is_better",
    "pca_start",
    "private_generator",
    "recipe",
    "run",
    "schedule_callbacks",
    "spread_sample",
]
