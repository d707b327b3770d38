"""
Before t-SNE: PCA or an autoencoder?
====================================

t-SNE is often run on fifty components of PCA, or fewer, in place of all columns. Are
the codes of an autoencoder better before it?

It depends on the number of components. The table and the pictures below compare maps of
five and of thirty components, and of all pixels. They count how many neighbours on the
map are neighbours among the images, and how many are of the same class. An autoencoder
is worth its time if codes have to be short.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderTransformer
from skae.datasets import load_fashion_mnist
from skae.plotting import CodeMapDisplay

train = load_fashion_mnist(n_samples=2_500)
test = load_fashion_mnist(subset="test", n_samples=800)
X, X_test, y_test = train.data, test.data, test.target
labels = np.array(test.target_names)[y_test]

# %%
# t-SNE maps only the rows that it is fitted to. So PCA and the autoencoder are fitted
# to many rows, and t-SNE maps their codes of held-out rows. Two figures measure the
# quality of a map. Trustworthiness measures whether neighbours on the map are also
# neighbours among the images: 1 is best, and a random map has 0.5. The other figure is
# the share of points whose nearest neighbour on the map is of their class. It is the
# accuracy of a classifier with one neighbour.


def same_class(points):
    """Share of points whose nearest neighbour is of their class."""
    neighbours = NearestNeighbors(n_neighbors=1).fit(points).kneighbors()[1][:, 0]
    return np.mean(y_test[neighbours] == y_test)


reducers = {"pixels": None}
settings = {"max_epochs": 40, "random_state": 0}
for k in [5, 30]:
    reducers[f"PCA, {k}"] = PCA(k, random_state=0)
    reducers[f"skae, {k}"] = AutoencoderTransformer(k, **settings)

print(f"{len(X)} images to fit to, {len(X_test)} others on the maps\n")
print(f"{'':10}{'trustworthiness':>17}{'same class':>12}{'seconds':>10}{'t-SNE':>8}")
maps, shares = {}, {}
for name, reducer in reducers.items():
    start = time.perf_counter()
    codes = X_test if reducer is None else reducer.fit(X).transform(X_test)
    reduced = time.perf_counter()
    tsne = TSNE(max_iter=500, random_state=0)
    maps[name] = tsne.fit_transform(codes)
    shares[name] = same_class(maps[name])
    print(
        f"{name:10}{trustworthiness(X_test, maps[name], n_neighbors=10):>17.3f}"
        f"{shares[name]:>12.3f}{reduced - start:>10.1f}"
        f"{time.perf_counter() - reduced:>8.1f}"
    )

# %%
# The maps. Colours are classes; neither t-SNE nor the reducers have seen them. Shares
# of 800 images are accurate to about two percentage points.

figure, axes = plt.subplots(2, 2, figsize=(9.5, 8), layout="constrained")
figure.suptitle("Images of clothing: maps of short codes, above, and of longer ones")
for ax, (name, points) in zip(axes.flat, list(maps.items())[1:], strict=True):
    CodeMapDisplay(points, labels, target_name="class").plot(ax)
    if ax is not axes[0, 1]:
        ax.get_legend().remove()
    method, k = name.split(", ")
    title = f"{method} to {k}, t-SNE: {shares[name]:.0%} beside their class"
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="", title=title)
plt.show()
