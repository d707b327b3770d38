"""
A network of your own: codes on a circle
========================================

An image that is turned all the way round comes back to where it was. One number cannot
represent that: a line has two ends, and somewhere neighbours get codes far apart. Two
numbers on a circle can. No estimator has that built in, but any torch module with
``encode`` and ``decode`` can be trained. Here it takes one line: the two numbers are
divided by their length.

The codes of the plain autoencoder with two numbers find a closed curve by themselves.
With one number, it has to cut the circle somewhere. On the circle, images that are
turned a little further have codes a little further round.
"""

# %%
# The data: one image of scikit-learn's digits, turned by 600 angles.

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

image = np.pad(load_digits().images[4] / 16, 2)
angles = np.random.default_rng(0).uniform(0, 360, 600)
X = np.array([rotate(image, angle, reshape=False, order=1).ravel() for angle in angles])

# %%
# The network
# -----------
#
# The encoder is linear, and starts at PCA, whose codes go round once. A random start
# may fold the circle, and training does not unfold it.


class OnCircle(torch.nn.Module):
    """Codes of length one."""

    def __init__(self, pca):
        super().__init__()
        n_components, n_features = pca.components_.shape
        self.encoder = torch.nn.Linear(n_features, n_components)
        with torch.no_grad():
            self.encoder.weight.copy_(torch.as_tensor(pca.components_))
            self.encoder.bias.copy_(torch.as_tensor(-pca.components_ @ pca.mean_))
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(n_components, 200),
            torch.nn.GELU(),
            torch.nn.Linear(200, 200),
            torch.nn.GELU(),
            torch.nn.Linear(200, n_features),
        )

    def encode(self, x):
        return torch.nn.functional.normalize(self.encoder(x), dim=1)

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        return self.decode(self.encode(x))


# %%
# It is an argument of the estimator; all else is as before.

params = {"max_epochs": 100, "random_state": 0}
models = {
    "one number": AutoencoderTransformer(1, **params),
    "two numbers": AutoencoderTransformer(2, **params),
    "on a circle": AutoencoderTransformer(2, module=OnCircle(PCA(2).fit(X)), **params),
}
codes = {}
for name, model in models.items():
    codes[name] = model.fit_transform(X)
    print(f"{name:>12}: {model.score(X):.3f} of the variance is reconstructed")

# %%
# The codes, coloured by the angle of the image.

figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
figure.suptitle("Codes of an image that is turned, coloured by its angle")
for ax, (name, Z) in zip(axes, codes.items(), strict=True):
    if Z.shape[1] == 1:
        points = ax.scatter(angles, Z, c=angles, cmap="twilight", s=8)
        ax.set(xlabel="angle of the image", ylabel="code")
    else:
        points = ax.scatter(*Z.T, c=angles, cmap="twilight", s=8)
        ax.set(xlabel="code 0", ylabel="code 1", aspect="equal")
    ax.set_title(name)
figure.colorbar(points, ax=axes, label="angle of the image, degrees")
plt.show()
