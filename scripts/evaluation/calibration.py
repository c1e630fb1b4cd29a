"""A logistic regression and how well its probabilities hold. Pure numpy."""

from __future__ import annotations

import numpy as np

RIDGE = 0.5
"""Pull of the weights to zero; with some dozens of examples they would otherwise run away."""


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[float, list[float]]:
    """Intercept and weights, none below zero: every signal speaks for an answer. x: (n, d), y: (n,) of 0 and 1."""
    kept = list(range(x.shape[1]))
    while True:
        intercept, found = _newton(x[:, kept], y)
        worst = min(range(len(kept)), key=lambda i: found[i], default=-1)
        if worst < 0 or found[worst] >= 0:
            break
        del kept[worst]
    weights = dict(zip(kept, found, strict=True))
    return intercept, [float(weights.get(i, 0.0)) for i in range(x.shape[1])]


def _newton(x: np.ndarray, y: np.ndarray, rounds: int = 50) -> tuple[float, list[float]]:
    """The maximum of the penalised likelihood."""
    design = np.hstack([np.ones((len(x), 1)), x])
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[0, 0] = 1e-6
    beta = np.zeros(design.shape[1])
    for _ in range(rounds):
        p = _sigmoid(design @ beta)
        gradient = design.T @ (y - p) - penalty @ beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if float(np.abs(step).max()) < 1e-8:
            break
    return float(beta[0]), [float(w) for w in beta[1:]]


def cross_validated(x: np.ndarray, y: np.ndarray, folds: int = 5) -> np.ndarray:
    """The probability of each example by a regression that has not seen it."""
    order = np.random.default_rng(0).permutation(len(y))
    out = np.zeros(len(y))
    for fold in range(folds):
        held = order[fold::folds]
        rest = np.setdiff1d(order, held)
        intercept, weights = fitted(x[rest], y[rest])
        out[held] = _sigmoid(x[held] @ np.array(weights) + intercept)
    return out


def brier(p: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error of probabilities; 0.25 is a coin."""
    return float(np.mean((p - y) ** 2))


def calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 5) -> float:
    """Expected calibration error over bins of equal width. Source: Guo et al., ICML 2017."""
    places = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[places == b].mean() - y[places == b].mean()) * np.mean(places == b) for b in set(places.tolist())]
    return float(sum(gaps))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -30, 30))))
