"""Pictures of fitted autoencoders, as scikit-learn's displays."""

from skae.plotting._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
