"""The displays."""

import sys

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skae import AutoencoderTransformer
from skae.plotting import LossCurveDisplay


def test_loss_curves_are_those_of_the_estimator(digits):
    estimator = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(digits[0])
    display = LossCurveDisplay.from_estimator(estimator)
    training, validation = display.lines_
    assert list(training.get_xdata()) == [1, 2, 3]
    assert list(training.get_ydata()) == estimator.loss_curve_
    assert list(validation.get_xdata()) == [0, 1, 2, 3]
    assert list(validation.get_ydata()) == estimator.validation_loss_curve_
    display.figure_.canvas.draw()
    plt.close(display.figure_)


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        LossCurveDisplay([1.0]).plot()
