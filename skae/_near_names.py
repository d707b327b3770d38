"""Errors that name the option that was meant."""

import difflib
from typing import Any

from skae._sklearn_compat import InvalidParameterError, StrOptions

# Names that other libraries use, and those of skae.
_SYNONYMS = {
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "l2": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "smooth_l1": "huber",
    "bce": "binary_cross_entropy",
    "cross_entropy": "binary_cross_entropy",
    "log_loss": "binary_cross_entropy",
    "sigmoid": "logistic",
    "swish": "silu",
    "linear": "identity",
    "none": "identity",
    "he_normal": "kaiming_normal",
    "he_uniform": "kaiming_uniform",
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
    "cosine_annealing": "cosine",
    "mask": "masking",
    "zeros": "masking",
    "normal": "gaussian",
    "swap_noise": "swap",
    "knn": "neighbors",
    "reconstruction_error": "error",
    "latent": "code",
    "embedding": "code",
    "k_sparse": "topk",
    "diagonal": "column",
    "isotropic": "scalar",
}
_OF_N_COMPONENTS = (
    "Only AutoencoderTransformer and StackedAEPretrainer can choose the number by a "
    "share of the variance: AutoencoderTransformer(0.95)."
)


class NearNamesMixin:
    """Mixin that adds the option that was probably meant to errors of parameters."""

    def _validate_params(self) -> None:
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            for name, value in self.get_params(deep=False).items():  # type: ignore[attr-defined]
                if f"The {name!r} parameter" in str(error):
                    hint = self._hint(name, value)
                    if hint is not None:
                        raise InvalidParameterError(f"{error} {hint}") from None
            raise

    def _hint(self, name: str, value: Any) -> str | None:
        constraints = self._parameter_constraints[name]  # type: ignore[attr-defined]
        if name == "n_components":
            takes_share = len([c for c in constraints if c is not None]) > 1
            is_share = isinstance(value, float) and 0 < value < 1
            if value == "mle" or (is_share and not takes_share):
                return _OF_N_COMPONENTS
        if not isinstance(value, str):
            return None
        options: set[str] = set()
        for constraint in constraints:
            if isinstance(constraint, StrOptions):
                options |= constraint.options
        near = near_name(value, options)
        return None if near is None else f"Did you mean {near!r}?"


def near_name(value: str, options: set[str]) -> str | None:
    """Return the option that a value probably stands for, or None."""
    name = value.strip().lower().replace("-", "_").replace(" ", "_")
    name = _SYNONYMS.get(name, name) if name not in options else name
    if name in options:
        return name
    return next(iter(difflib.get_close_matches(name, sorted(options), n=1)), None)
