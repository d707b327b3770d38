"""
A grid search on a cluster
==========================

How does a grid search use several machines? joblib sends its fits to the workers of a
Dask cluster. Here, the cluster is two processes on this machine. To use an existing
cluster, pass its address to ``Client``. The scores are the same as without a cluster.

The script needs the extra ``dask``. With so small a grid, the cluster costs more time
than it saves.
"""

# sphinx_gallery_thumbnail_path = '_static/cluster.svg'

import itertools
import time

import joblib
import numpy as np
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer


def main():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    pipeline = make_pipeline(
        AutoencoderTransformer(max_epochs=5, random_state=0),
        LogisticRegression(max_iter=1_000),
    )
    grid = {"autoencodertransformer__n_components": [2, 4, 8, 16]}
    folds = list(StratifiedKFold(3).split(X, y))

    def search():
        start = time.perf_counter()
        result = GridSearchCV(pipeline, grid, cv=folds).fit(X, y)
        scores = result.cv_results_["mean_test_score"]
        print(f"{time.perf_counter() - start:.1f} s, accuracies {scores.round(3)}")
        return scores

    here = search()
    # With all data on each worker, a worker that dies loses only its own fits. Dask's
    # memory manager would remove the spare copies.
    everything = [X, y, *itertools.chain(*folds)]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
        Client(two) as client,
        joblib.parallel_config("dask", scatter=everything),
    ):
        client.amm.stop()
        there = search()
    print("The same scores:", np.array_equal(here, there))


if __name__ == "__main__":  # the workers read this file, too
    main()
