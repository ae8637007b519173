"""Least squares whose errors may hang together within clusters: the CR2 covariance, with honest degrees of freedom.

Bell and McCaffrey 2002, "Bias reduction in standard errors for linear regression with multi-stage samples", Survey
Methodology 28(2); as explained by Imbens and Kolesár 2016 (Review of Economics and Statistics 98(4)) and Pustejovsky
and Tipton 2018 (arXiv:1601.01981). With few clusters the usual sandwich is too small and its t test is too sure of
itself. CR2 takes the leverage of each cluster out of its residuals, which makes the variance unbiased where the
errors are independent; the Satterthwaite degrees of freedom say how much that variance itself varies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from polyvec.evaluation.gap_design import Floats

_LEFT_OVER = 1e-10
"""An eigenvalue of I - H below this is zero: the cluster's residual there is always zero."""


class Coefficient(NamedTuple):
    """One coefficient and what is known of it.

    Attributes:
        estimate: in units of the outcome.
        se: standard error.
        df: degrees of freedom of its t test (Satterthwaite).
        t: estimate over standard error.
        p: two-sided, against zero.
        p_less: one-sided: how surprising the estimate is if the coefficient is not below zero.
        low: of the 95 % interval.
        high: of the 95 % interval.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    p_less: float
    low: float
    high: float


class Wald(NamedTuple):
    """Test that several coefficients are zero together.

    Attributes:
        statistic: F.
        df1: number of coefficients.
        df2: degrees of freedom of the denominator.
        p: of the test; NaN where there are too few clusters for it.
    """

    statistic: float
    df1: int
    df2: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRobustFit:
    """A least-squares fit with its CR2 covariance.

    Attributes:
        estimates: shape ``(columns,)``.
        covariance: CR2, shape ``(columns, columns)``.
        df: Satterthwaite degrees of freedom of each coefficient, shape ``(columns,)``.
        clusters: how many.
    """

    estimates: Floats
    covariance: Floats
    df: Floats
    clusters: int

    def coefficient(self, column: int) -> Coefficient:
        """The coefficient of a column, tested against zero."""
        estimate, df = float(self.estimates[column]), float(self.df[column])
        se = float(np.sqrt(self.covariance[column, column]))
        t = float(np.copysign(np.inf, estimate)) if se == 0 else estimate / se
        half = float(student.ppf(0.975, df)) * se
        return Coefficient(
            estimate,
            se,
            df,
            t,
            2 * float(student.sf(abs(t), df)),
            float(student.cdf(t, df)),
            estimate - half,
            estimate + half,
        )

    def wald(self, columns: NDArray[np.intp]) -> Wald:
        """Whether coefficients are zero together: for one its t test, for several Hotelling's T² as F.

        Behind T² stand ``clusters - 1`` draws. With the same rows in every cluster this is the exact test of repeated
        measures; otherwise an approximation (the form of Pustejovsky and Tipton 2018, with that many draws).
        """
        if len(columns) == 1:
            one = self.coefficient(int(columns[0]))
            return Wald(one.t**2, 1, one.df, one.p)
        count, eta = len(columns), self.clusters - 1
        df2 = eta - count + 1.0
        if df2 < 1 or not count:
            return Wald(np.nan, count, np.nan, np.nan)
        own = self.covariance[np.ix_(columns, columns)]
        if np.isnan(own).any():
            return Wald(np.nan, count, np.nan, np.nan)
        estimates = self.estimates[columns]
        squared = float(estimates @ np.linalg.pinv(own, hermitian=True) @ estimates)
        statistic = squared * df2 / (eta * count)
        return Wald(statistic, count, df2, float(fisher.sf(statistic, count, df2)))


def cluster_robust(design: Floats, outcome: Floats, clusters: NDArray[np.intp]) -> ClusterRobustFit:
    """Fit by least squares, with errors that may hang together within clusters.

    Args:
        design: shape ``(rows, columns)``, of full column rank, intercept included.
        outcome: shape ``(rows,)``.
        clusters: number of each row's cluster, from 0 on, shape ``(rows,)``.

    Returns:
        The fit; with each row a cluster of its own the covariance is HC2 (MacKinnon and White 1985). Where a
        coefficient rests on a single cluster its standard error, and all that hangs on it, is NaN.

    Example:
        >>> import numpy as np
        >>> column = np.array([0.0, 0.0, 1.0, 1.0])
        >>> fit = cluster_robust(
        ...     np.column_stack([np.ones(4), column]), np.array([1.0, 3.0, 5.0, 9.0]), np.arange(4)
        ... )
        >>> found = fit.coefficient(1)
        >>> round(found.estimate, 6), round(found.se**2, 6)  # 2 / 2 + 8 / 2: as Welch has it
        (5.0, 5.0)
    """
    bread = np.asarray(np.linalg.inv(design.T @ design), dtype=float)
    estimates = bread @ (design.T @ outcome)
    residuals = outcome - design @ estimates
    sizes = np.bincount(clusters)
    lost = np.zeros(design.shape[1], dtype=bool)
    count, columns = len(sizes), design.shape[1]
    scores = np.empty((count, columns))
    own = np.empty((count, columns))
    reached = np.empty((count, columns, columns))
    sorted_rows = np.argsort(clusters, kind="stable")
    starts = np.cumsum(sizes) - sizes
    # Clusters of one size are computed at once.
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        rows = sorted_rows[starts[same][:, None] + np.arange(size)]
        part = design[rows]
        turned = part.transpose(0, 2, 1)
        root, never = _inverse_root(np.eye(size) - part @ bread @ turned)
        adjusted = root @ part
        hidden = ((never @ part @ bread) ** 2).sum(axis=1)
        # Coefficients that rest on what the residuals of a cluster can never show.
        lost |= (hidden > _LEFT_OVER * np.diag(bread)).any(axis=0)
        pulled = adjusted @ bread
        scores[same] = np.einsum("gsk,gs->gk", adjusted, residuals[rows])
        own[same] = (pulled**2).sum(axis=1)
        reached[same] = turned @ pulled
    covariance = bread @ (scores.T @ scores) @ bread
    df = _satterthwaite(own, reached, bread)
    # A coefficient that rests on one cluster alone has an estimate, but nobody can say how sure it is.
    covariance[lost], covariance[:, lost], df[lost] = np.nan, np.nan, np.nan
    return ClusterRobustFit(estimates, covariance, df, count)


def _inverse_root(matrix: Floats) -> tuple[Floats, Floats]:
    """Symmetric inverse square root of each matrix, zero where the matrix is, and the projector on where that is."""
    values, vectors = np.linalg.eigh(matrix)
    there = values > _LEFT_OVER
    roots = np.where(there, 1 / np.sqrt(np.where(there, values, 1.0)), 0.0)
    turned = vectors.transpose(0, 2, 1)
    root = (vectors * roots[:, None, :]) @ turned
    never = (vectors * ~there[:, None, :]) @ turned
    return np.asarray(root, dtype=float), np.asarray(never, dtype=float)


def _satterthwaite(own: Floats, reached: Floats, bread: Floats) -> Floats:
    """Degrees of freedom of each coefficient's variance, were the errors independent and equally wide.

    The variance of coefficient j is a sum over clusters g of (p_g' e)², with e the errors. So its mean is the trace of
    the matrix of all p_g' p_h and its variance twice the sum of that matrix' squares; the degrees of freedom follow
    from the two. As p_g = (I - H) v_g, with v_g zero outside the cluster, p_g' p_h = v_g' v_h - v_g' H v_h.

    Args:
        own: v_g' v_g for each cluster and coefficient, shape ``(clusters, columns)``.
        reached: X_g' v_g, shape ``(clusters, columns of X, coefficients)``.
        bread: (X' X)⁻¹.
    """
    df = np.empty(own.shape[1])
    for column in range(own.shape[1]):
        pulled = reached[:, :, column]
        products = np.diag(own[:, column]) - pulled @ bread @ pulled.T
        squares = (products**2).sum()
        df[column] = np.trace(products) ** 2 / squares if squares > 0 else np.nan
    return df
