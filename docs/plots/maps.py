"""Maps of digits by PCA, an autoencoder and t-SNE."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]
models = {
    "PCA": PCA(2),
    "autoencoder": AutoencoderTransformer(2, random_state=0),
    "t-SNE": TSNE(random_state=0),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    points = ax.scatter(*model.fit_transform(X).T, c=y, cmap="tab10", s=6)
    ax.set(title=name, xticks=[], yticks=[])
figure.colorbar(points, ax=axes, ticks=range(10), label="digit")
