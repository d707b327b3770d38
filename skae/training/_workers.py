"""What a worker process of joblib does once."""

import gc
import multiprocessing


def set_imports_aside() -> None:
    """Keep what is imported out of later garbage collections, in a worker of joblib.

    Such a worker collects garbage each second unless psutil is installed. A collection
    goes through all objects of torch and scikit-learn, and takes longer than some fits.
    """
    if multiprocessing.current_process().name.startswith("LokyProcess"):
        gc.collect()  # what is garbage now would never be freed
        gc.freeze()
