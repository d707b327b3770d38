"""
A network of your own: codes on a circle
========================================

An image that is rotated by 360 degrees is the same image again. Codes of one number
cannot represent that: a line has two ends, so some similar images have codes that are
far apart. Two numbers on a circle can represent it. No estimator has such codes, but
any torch module with ``encode`` and ``decode`` can be trained. Here, one line makes
them: it divides the two numbers by their length.

The codes of the plain autoencoder with two numbers form a closed curve by themselves.
With one number, the autoencoder has to cut the circle somewhere. On the circle, the
angle of the code follows the angle of the image.
"""

# %%
# The data: one image of scikit-learn's digits, rotated by 600 angles.

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
# The encoder is linear, and starts at PCA, whose codes go round the centre once. A
# random start may fold the circle, and training does not unfold it.


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
# Pass the network as `module`. All other arguments are as before.

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
figure.suptitle("Codes of a rotated image, coloured by its angle")
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
