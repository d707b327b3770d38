"""Plots of fitted autoencoders, with the interface of scikit-learn's displays."""

from skae.plotting._code_grid import CodeGridDisplay
from skae.plotting._code_map import CodeMapDisplay
from skae.plotting._code_range import CodeRangeDisplay
from skae.plotting._code_size import CodeSizeDisplay
from skae.plotting._error import ErrorDisplay
from skae.plotting._feature import FeatureDisplay
from skae.plotting._loss_curve import LossCurveDisplay
from skae.plotting._outlier import OutlierDisplay
from skae.plotting._reconstruction import ReconstructionDisplay

__all__ = [
    "CodeGridDisplay",
    "CodeMapDisplay",
    "CodeRangeDisplay",
    "CodeSizeDisplay",
    "ErrorDisplay",
    "FeatureDisplay",
    "LossCurveDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
]
