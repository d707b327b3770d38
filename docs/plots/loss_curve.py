"""Loss curve of digits."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.plotting import LossCurveDisplay

X_train, X_test = train_test_split(load_digits().data / 16, random_state=0)
autoencoder = AutoencoderTransformer(8, max_epochs=20, random_state=0).fit(X_train)
LossCurveDisplay.from_estimator(autoencoder)
