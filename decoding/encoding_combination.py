"""Several experts, one choice: how much a likelihood, a latent's similarity and others say together.

Candidates of a window get the score sum_e w_e s_e, with s_e an expert's scores centred over the candidates, and the
choice is softmax of it (conditional logit; McFadden 1974). The weights w_e >= 0 are those of the highest likelihood of
the true windows of validation stories. A likelihood that is too sure of itself is tempered by the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import minimize
from scipy.special import logsumexp

from ..datasets.errors import WrongArgument

Scores = Float[np.ndarray, "expert _window _window"]
PENALTY = 1e-3  # on the squared weights of standardised experts: keeps them finite where validation is without error


def combined(scores: Scores, weights: Float64[np.ndarray, " expert"]) -> Float64[np.ndarray, "window window"]:
    """[i, j]: what all experts together say of candidate j for window i; each row is centred."""
    return np.asarray(np.einsum("e,eij->ij", weights, _centred(scores)))


def fit_weights(stories: Sequence[Scores]) -> Float64[np.ndarray, " expert"]:
    """Weights of the experts from validation stories, each an array (expert, window, candidate), truth on the diagonal.

    Raises `WrongArgument` without a story or where a score is not finite.
    """
    if not stories or not all(np.isfinite(story).all() for story in stories):
        raise WrongArgument(
            "no story, or a score that is not finite", "combination", "Give finite scores of validation stories."
        )
    centred = [_centred(story) for story in stories]
    scale = np.sqrt(np.mean(np.concatenate([(story**2).mean(axis=2) for story in centred], axis=1), axis=1))
    scale = np.where(scale > 0, scale, 1.0)
    parts = [story / scale[:, None, None] for story in centred]
    start = np.full(len(scale), 1.0)
    found = minimize(_loss, start, args=(parts,), jac=True, bounds=[(0, None)] * len(scale), method="L-BFGS-B")
    return np.asarray(found.x / scale, np.float64)


def _loss(
    weights: Float64[np.ndarray, " expert"], stories: Sequence[Float64[np.ndarray, "expert _window _window"]]
) -> tuple[float, Float64[np.ndarray, " expert"]]:
    """Mean surprise (nats) at the true window, and its gradient."""
    n = sum(story.shape[1] for story in stories)
    loss, gradient = PENALTY * float(weights @ weights), 2 * PENALTY * weights
    for story in stories:
        total = np.einsum("e,eij->ij", weights, story)
        chance = np.exp(total - logsumexp(total, axis=1, keepdims=True))
        true = np.diagonal(total)
        loss += float((logsumexp(total, axis=1) - true).sum()) / n
        gradient = gradient + (np.einsum("ij,eij->e", chance, story) - np.einsum("eii->e", story)) / n
    return loss, gradient


def _centred(scores: Scores) -> Float64[np.ndarray, "expert window window"]:
    exact = np.asarray(scores, np.float64)
    return np.asarray(exact - exact.mean(axis=2, keepdims=True))
