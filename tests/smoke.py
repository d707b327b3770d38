"""Fit, save and diagnose with the installed package and nothing but its dependencies.

``python -I tests/smoke.py``, from any folder.
"""

import importlib.metadata

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae

assert skae.__version__ == importlib.metadata.version("skae"), skae.__file__
assert "site-packages" in skae.__file__, skae.__file__
for name in skae.__all__:
    assert hasattr(skae, name), name

X, y = load_digits(return_X_y=True)
X = X / 16
pipeline = make_pipeline(
    StandardScaler(),
    skae.AutoencoderTransformer(8, max_epochs=10, random_state=0),
    LogisticRegression(max_iter=1_000),
).fit(X[:1500], y[:1500])
accuracy = pipeline.score(X[1500:], y[1500:])
assert accuracy > 0.7, accuracy

autoencoder = pipeline[1]
rows = pipeline[0].transform(X)
codes = autoencoder.transform(rows)
assert codes.shape == (len(X), 8)
assert np.isfinite(autoencoder.inverse_transform(codes)).all()
print(autoencoder.summary())
print(skae.diagnose(autoencoder, rows[1500:], rows[:1500]))
print(f"skae {skae.__version__}: accuracy {accuracy:.2f}")
