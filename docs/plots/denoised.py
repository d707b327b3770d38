"""Digits with missing pixels, denoised."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.plotting import ReconstructionDisplay

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
denoiser = DenoisingAutoencoder(
    noise="masking", noise_level=0.3, max_epochs=20, random_state=0
).fit(X_train)
rng = np.random.default_rng(0)
X_noisy = np.where(rng.random(X_test.shape) < 0.3, 0, X_test)
ReconstructionDisplay.from_estimator(denoiser, X_noisy[:10], image_shape=(8, 8))
