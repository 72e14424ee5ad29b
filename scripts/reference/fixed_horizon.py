#!/usr/bin/env python3
"""Writes more of analysis/tests/golden/*.json: covariates, small counts, quantiles, clusters,
switchbacks, segments, families of tests.

Needs scipy 1.17, numpy, statsmodels 0.15, mpmath and tea-tasting 1.14 (from PyPI). Run from the
repository root, with the names of some parts or none for all (about five minutes):

    python3 scripts/reference/fixed_horizon.py [cuped exact_tests ...]

The references are the packages where they are accurate, and their formulas in 50 digits (mpmath) or
in rational numbers where they are not: 1 - cdf in statsmodels, sums of squares in tea-tasting, far
tails anywhere.
"""

import sys

# The script beside this one has the name of a module of the standard library, which others import.
sys.path.pop(0)

import importlib.util
import itertools
import json
import math
import re
from fractions import Fraction

import mpmath as mp
import numpy as np
import pandas as pd
import statsmodels.api as sm
import tea_tasting as tt
from scipy import stats
from statsmodels.stats import contingency_tables, meta_analysis, power, proportion, weightstats

spec = importlib.util.spec_from_file_location("references", "scripts/reference/statistics.py")
references = importlib.util.module_from_spec(spec)
spec.loader.exec_module(references)
out, t_two_sided, t_isf, welch_exact = (
    references.out, references.t_two_sided, references.t_isf, references.welch_exact,
)


def write(name, reference, cases):
    document = {
        "origin": {
            "written_by": "scripts/reference/fixed_horizon.py",
            "reference": reference,
            "versions": references.VERSIONS + f", tea-tasting {tt.__version__}",
        },
        "cases": cases,
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    # Lists of numbers and names on one line each.
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s*\n\s*", " ", m[1]) + "]", text)
    (references.FOLDER / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {len(cases)} cases")


def case(request, expect, tolerance=None):
    return {"request": request, "expect": expect} | ({"tolerance": tolerance} if tolerance else {})


def t_test(effect, se, df, alpha=0.05, alternative="two-sided"):
    """A t-test in 50 digits, as the answers spell it."""
    t = effect / se
    two = t_two_sided(t, df) if t != 0 else mp.mpf(1)
    upper = two / 2 if t > 0 else 1 - two / 2
    lower = two / 2 if t < 0 else 1 - two / 2
    q = t_isf(alpha / 2 if alternative == "two-sided" else alpha, float(df))
    return {
        "effect": out(effect), "se": out(se), "df": out(df), "statistic": out(t),
        "p_value": out({"two-sided": two, "greater": upper, "less": lower}[alternative]),
        "ci": [
            "-Infinity" if alternative == "less" else out(effect - q * se),
            "Infinity" if alternative == "greater" else out(effect + q * se),
        ],
    }


def z_test(effect, se, alpha=0.05, alternative="two-sided"):
    z = effect / se
    sf = lambda z: mp.erfc(z / mp.sqrt(2)) / 2
    q = mp.mpf(stats.norm.isf(alpha / 2 if alternative == "two-sided" else alpha))
    return {
        "effect": out(effect), "se": out(se), "statistic": out(z),
        "p_value": out({"two-sided": 2 * sf(abs(z)), "greater": sf(z), "less": sf(-z)}[alternative]),
        "ci": [
            "-Infinity" if alternative == "less" else out(effect - q * se),
            "Infinity" if alternative == "greater" else out(effect + q * se),
        ],
    }


def welch_of(c, t, alpha=0.05, alternative="two-sided"):
    """Welch's test of (n, mean, variance) triples in mpmath numbers."""
    a, b = c[2] / c[0], t[2] / t[0]
    df = (a + b) ** 2 / (a**2 / (c[0] - 1) + b**2 / (t[0] - 1))
    return t_test(t[1] - c[1], mp.sqrt(a + b), df, alpha, alternative)


# Incomplete beta.


def incomplete_beta():
    cases = []
    shapes = [(0.5, 0.5), (0.5, 20.5), (1, 1), (2, 3), (29.5, 40), (30, 30), (31, 500), (0.5, 1e7 + 0.5), (3, 1e9), (101, 901), (1e4, 3e4), (5e5, 5e5), (40, 1e8), (1e6 + 1, 9e6)]
    for a, b in shapes + [(b, a) for a, b in shapes if a != b]:
        mean = mp.mpf(a) / (mp.mpf(a) + mp.mpf(b))
        sd = mp.sqrt(mean * (1 - mean) / (mp.mpf(a) + b + 1))
        for z in [-30, -12, -5, -2, -0.3, 0, 0.4, 2, 5, 12, 30]:
            # Points that are exact in binary, with their complement.
            x = float(mean + z * sd)
            if not 0 < x < 1 or 1 - (1 - x) != x:
                continue
            xm, am, bm = mp.mpf(x), mp.mpf(a), mp.mpf(b)
            # The tail away from the mean, by quadrature of the density on the log-odds.
            log_norm = mp.loggamma(am + bm) - mp.loggamma(am) - mp.loggamma(bm)
            odds = mp.log(xm / (1 - xm))
            density = lambda l: mp.exp(log_norm - am * mp.log1p(mp.exp(-l)) - bm * mp.log1p(mp.exp(l)))
            width = 1 / mp.sqrt(1 / (1 / am + 1 / bm))
            side = -1 if xm < mean else 1
            slope = abs(am * (1 - xm) - bm * xm)
            step = 1 / (slope + 1 / width)
            points = [odds + side * step * k for k in (0, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 512, 4096)]
            tail = abs(mp.quad(density, points))
            if min(a, b) <= 50 and max(a, b) > 1e6:
                # The quadrature is only right to 1e-8 there; the series is right to all digits.
                with mp.workdps(400):
                    small, large, at = (am, bm, xm) if a < b else (bm, am, 1 - xm)
                    near = at**small * mp.hyp2f1(small, 1 - large, small + 1, at) / small
                    near *= mp.exp(mp.loggamma(am + bm) - mp.loggamma(am) - mp.loggamma(bm))
                    away = (side < 0) == (a < b)
                    tail = near if away else 1 - near
            lower, upper = (tail, 1 - tail) if side < 0 else (1 - tail, tail)
            if tail > 1e-300:
                cases.append({"a": a, "b": b, "x": x, "lower": float(lower), "upper": float(upper)})
        for p in [0.4, 0.025, 1e-4, 1e-10]:
            start = stats.beta.ppf(p, a, b)
            if 1e-250 < start < 1 - 1e-9:
                cases.append({"a": a, "b": b, "p": p, "lower_quantile": refine_beta(a, b, p, False, start)})
    write("incomplete_beta", "mpmath quad on the log-odds, with Newton steps for quantiles", cases)


# Small counts.


def hypergeometric_tail(a, b, c, d):
    """Exact P(X >= a), P(X <= a) and two-sided p of the first cell."""
    r, s, m = a + b, c + d, a + c
    support = range(max(0, m - s), min(m, r) + 1)
    whole = math.comb(r + s, m)
    points = {j: math.comb(r, j) * math.comb(s, m - j) for j in support}
    upper = sum(p for j, p in points.items() if j >= a)
    lower = sum(p for j, p in points.items() if j <= a)
    two = sum(p for p in points.values() if p <= points[a])
    ratio = lambda x: float(mp.mpf(x) / whole)
    return ratio(upper), ratio(lower), ratio(two)


def barnard_reference(x, n, y, m, alternative):
    """All tables, and the share maximised on a fine grid with golden sections by scipy."""
    from scipy import optimize

    def squared(i, j):
        s = i + j
        if s == 0 or s == n + m:
            return Fraction(0)
        gap = j * n - i * m
        return Fraction(gap * abs(gap) * (n + m), n * m * s * (n + m - s))

    seen = squared(x, y)
    region = []
    for i in range(n + 1):
        for j in range(m + 1):
            value = squared(i, j)
            extreme = {"two-sided": abs(value) >= abs(seen), "greater": value >= seen, "less": value <= seen}[alternative]
            if extreme:
                region.append((i, j))
    i, j = np.array([r[0] for r in region]), np.array([r[1] for r in region])

    def minus(angle):
        p = math.sin(angle) ** 2
        return -float(np.sum(stats.binom.pmf(i, n, p) * stats.binom.pmf(j, m, p)))

    grid = np.linspace(0, math.pi / 2, 2001)
    values = np.array([minus(g) for g in grid])
    best = values.min()
    for k in np.argsort(values)[:25]:
        lo, hi = grid[max(k - 1, 0)], grid[min(k + 1, 2000)]
        found = optimize.minimize_scalar(minus, bounds=(lo, hi), method="bounded", options={"xatol": 1e-12})
        best = min(best, found.fun)
    return min(1.0, -best)


def exact_tests():
    cases = []
    tables = [
        (3, 1, 1, 3), (8, 2, 1, 5), (0, 10, 10, 0), (0, 5, 0, 5), (5, 0, 5, 0), (1, 9, 9, 1), (2, 98, 9, 91),
        (0, 50, 7, 43), (10, 990, 25, 975), (100, 900, 130, 870), (7, 12, 0, 5), (1, 0, 0, 1), (30, 30, 30, 30),
        (1000, 9000, 1150, 8850), (3, 99997, 14, 99986), (450, 50, 390, 110), (5, 20, 5, 20), (2, 3, 4, 6), (12, 5, 29, 2),
    ]
    for a, b, c, d in tables:
        upper, lower, two = hypergeometric_tail(a, b, c, d)
        margin = 0 in (a + b, c + d, a + c, b + d)
        odds = None if margin else ("Infinity" if b * c == 0 else a * d / (b * c))
        for alternative, p in [("greater", upper), ("less", lower), ("two-sided", two)]:
            request = {"method": "fisher_exact", "table": [[a, b], [c, d]], "alternative": alternative}
            cases.append(case(request, {"p_value": p, "odds_ratio": odds}))
        if not margin and max(a, b, c, d) < 2000:
            theirs = stats.fisher_exact([[a, b], [c, d]]).pvalue
            assert abs(theirs / two - 1) < 1e-9, (theirs, two)
    # Counts whose tails are smooth sums.
    for a, b, c, d in [(500_000, 1_500_000, 502_000, 1_498_000), (500_000, 500_000, 510_000, 490_000), (200_000, 800_000, 207_500, 792_500)]:
        r, s, m = a + b, c + d, a + c
        log_whole = mp.loggamma(r + s + 1) - mp.loggamma(m + 1) - mp.loggamma(r + s - m + 1)

        def point(j):
            choose = lambda n, k: mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
            return mp.exp(choose(r, j) + choose(s, m - j) - log_whole)

        term = total = point(a)
        j = a
        while term > total * mp.mpf(10) ** -30:
            term *= mp.mpf(j) * (s - m + j) / ((r - j + 1) * mp.mpf(m - j + 1))
            total += term
            j -= 1
        request = {"method": "fisher_exact", "table": [[a, b], [c, d]], "alternative": "less"}
        cases.append(case(request, {"p_value": float(total)}))
        if r == s:
            cases.append(case(request | {"alternative": "two-sided"}, {"p_value": float(2 * total)}))
    arms = {"control": {"n": 100, "successes": 2}, "treatment": {"n": 100, "successes": 9}}
    upper = hypergeometric_tail(9, 91, 2, 98)[0]
    cases.append(case({"method": "fisher_exact", "alternative": "greater"} | arms, {"p_value": upper}))
    for x, n, y, m in [(1, 20, 9, 30), (0, 10, 5, 10), (7, 15, 12, 15), (2, 60, 9, 55), (0, 30, 0, 20), (5, 5, 5, 5), (3, 3, 0, 4), (1, 1, 0, 1), (4, 80, 1, 9), (0, 40, 3, 4), (10, 100, 22, 120)]:
        for alternative in ["two-sided", "greater", "less"]:
            request = {"method": "barnard_exact", "control": {"n": n, "successes": x}, "treatment": {"n": m, "successes": y}, "alternative": alternative}
            cases.append(case(request, {"p_value": barnard_reference(x, n, y, m, alternative)}))
    # Hypothesis: scipy's search of the share is good to 1e-3 or so.
    theirs = stats.barnard_exact([[9, 1], [21, 19]], pooled=True).pvalue
    ours = barnard_reference(1, 20, 9, 30, "two-sided")
    assert abs(theirs / ours - 1) < 1e-3, (theirs, ours)
    for n, successes in [(20, 0), (20, 20), (1, 0), (1, 1), (10, 3), (1000, 1), (1000, 130), (50_000, 49_999), (10**7, 0), (10**7, 123), (10**9, 5 * 10**8), (10**9, 10**6)]:
        for alpha in [0.05, 1e-4]:
            tail = alpha / 2
            x, rest = mp.mpf(successes), mp.mpf(n - successes)

            def quantile(a, b, upper):
                start = (stats.beta.isf if upper else stats.beta.ppf)(tail, float(a), float(b))
                return refine_beta(a, b, tail, upper, start)

            exact = [0.0 if successes == 0 else quantile(x, rest + 1, False), 1.0 if successes == n else quantile(x + 1, rest, True)]
            jeffreys = [quantile(x + 0.5, rest + 0.5, False), quantile(x + 0.5, rest + 0.5, True)]
            for name, ci in [("clopper-pearson", exact), ("jeffreys", jeffreys)]:
                request = {"method": "proportion_ci", "n": n, "successes": successes, "alpha": alpha, "interval": name}
                cases.append(case(request, {"estimate": successes / n, "ci": ci}))
                if n <= 1000:
                    theirs = proportion.proportion_confint(successes, n, alpha, {"clopper-pearson": "beta", "jeffreys": "jeffreys"}[name])
                    assert np.allclose(theirs, ci, rtol=1e-8, atol=1e-14), (theirs, ci)
    write("exact_tests", "exact rational sums over all tables; for Barnard's test with scipy's bounded search of the share; beta quantiles by mpmath; scipy fisher_exact, statsmodels proportion_confint", cases)


def refine_beta(a, b, tail, upper, start):
    """A beta quantile by Newton steps on the tail, integrated on the log-odds."""
    a, b = mp.mpf(a), mp.mpf(b)
    log_norm = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    density = lambda l: mp.exp(log_norm - a * mp.log1p(mp.exp(-l)) - b * mp.log1p(mp.exp(l)))
    start = min(max(start, 1e-300), 1 - 1e-16)
    odds = mp.log(mp.mpf(start)) - mp.log1p(-mp.mpf(start))
    sd = mp.sqrt(1 / a + 1 / b)
    side = 1 if upper else -1
    for _ in range(6):
        x = 1 / (1 + mp.exp(-odds))
        slope = abs(a * (1 - x) - b * x)
        step = 1 / (slope + 1 / sd)
        points = [odds + side * step * k for k in (0, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 512, 4096)]
        area = abs(mp.quad(density, points))
        move = side * (area - tail) / density(odds)
        odds += move
        if abs(move) < mp.mpf(10) ** -22:
            break
    return float(1 / (1 + mp.exp(-odds)))


# Covariates.


def rational(values):
    return [Fraction(v) for v in values]


def real(fraction):
    return mp.mpf(fraction.numerator) / fraction.denominator


def moments_of(*columns):
    """n, means and sample covariances, exactly."""
    columns = [rational(c) for c in columns]
    n = len(columns[0])
    means = [sum(c) / n for c in columns]
    cov = [[sum((u - mu) * (v - mv) for u, v in zip(a, b)) / (n - 1) if n > 1 else Fraction(0) for b, mv in zip(columns, means)] for a, mu in zip(columns, means)]
    return n, [real(m) for m in means], [[real(v) for v in row] for row in cov]


def merged(c, t):
    """Joint moments of both arms together."""
    n = c[0] + t[0]
    k = len(c[1])
    means = [(c[0] * c[1][i] + t[0] * t[1][i]) / n for i in range(k)]
    cov = [[((c[0] - 1) * c[2][i][j] + (t[0] - 1) * t[2][i][j] + mp.mpf(c[0]) * t[0] / n * (t[1][i] - c[1][i]) * (t[1][j] - c[1][j])) / (n - 1) for j in range(k)] for i in range(k)]
    return n, means, cov


def cuped_exact(c, t, alpha, alternative):
    """CUPED with any number of covariates: the first number is the metric."""
    n, means, cov = merged(c, t)
    k = len(means) - 1
    theta = mp.lu_solve(mp.matrix([[cov[i + 1][j + 1] for j in range(k)] for i in range(k)]), mp.matrix([cov[i + 1][0] for i in range(k)]))
    g = [mp.mpf(1)] + [-theta[i] for i in range(k)]
    arms = []
    for arm in (c, t):
        mean = arm[1][0] - sum(theta[i] * (arm[1][i + 1] - means[i + 1]) for i in range(k))
        variance = sum(g[i] * g[j] * arm[2][i][j] for i in range(k + 1) for j in range(k + 1))
        arms.append((mp.mpf(arm[0]), mean, variance))
    answer = welch_of(*arms, alpha, alternative)
    raw = c[2][0][0] / c[0] + t[2][0][0] / t[0]
    reduced = arms[0][2] / c[0] + arms[1][2] / t[0]
    answer |= {
        "control_mean_adjusted": out(arms[0][1]), "treatment_mean_adjusted": out(arms[1][1]),
        "variance_reduction": out(1 - reduced / raw),
    }
    return answer, [out(theta[i]) for i in range(k)], arms


def summary_arm(n, mean, variance, x_mean, x_variance, covariance):
    return {"n": n, "mean": mean, "variance": variance, "covariate_mean": x_mean, "covariate_variance": x_variance, "covariance": covariance}


def joint_of(arm):
    m = mp.mpf
    return arm["n"], [m(arm["mean"]), m(arm["covariate_mean"])], [[m(arm["variance"]), m(arm["covariance"])], [m(arm["covariance"]), m(arm["covariate_variance"])]]


def lift_by_fieller(c, t, arms, theta, alpha):
    """Fieller's interval of (adjusted difference)/(raw control mean), roots of the quadratic."""
    answer = welch_of(*arms, alpha)
    q = t_isf(alpha / 2, answer["df"])
    d, m = mp.mpf(arms[1][1] - arms[0][1]), c[1][0]
    v_d = arms[0][2] / c[0] + arms[1][2] / t[0]
    v_m = c[2][0][0] / c[0]
    cov = -(c[2][0][0] - theta * c[2][0][1]) / c[0]
    A, B, C = m**2 - q * q * v_m, -2 * (d * m - q * q * cov), d**2 - q * q * v_d
    if A <= 0:
        return None
    root = mp.sqrt(B * B - 4 * A * C)
    ends = sorted([(-B - root) / (2 * A), (-B + root) / (2 * A)])
    return [out(e) for e in (ends if m > 0 else sorted(-e for e in ends))]


def cuped():
    rng = np.random.default_rng(20260201)
    cases = []
    summaries = [
        (summary_arm(5000, 10.0, 25.0, 9.8, 24.0, 17.0), summary_arm(5000, 10.3, 26.0, 9.85, 24.5, 17.5)),
        (summary_arm(9000, 1.2, 9.0, 1.0, 8.0, 6.5), summary_arm(1000, 1.5, 11.0, 1.1, 8.5, 7.0)),
        (summary_arm(40, -5.0, 2.0, 3.0, 1.0, -1.1), summary_arm(25, -4.0, 2.5, 3.4, 1.5, -1.4)),
        (summary_arm(2, 1.0, 2.0, 1.0, 2.0, 0.5), summary_arm(3, 5.0, 2.0, 0.0, 2.0, 0.5)),
        (summary_arm(10**8, 1e6, 4e6, 1e6, 4e6, 3.9e6), summary_arm(10**8, 1e6 + 0.5, 4e6, 1e6 + 0.1, 4e6, 3.9e6)),
        (summary_arm(3000, 0.01, 1.0, 0.01, 1.0, 0.5), summary_arm(3000, 0.2, 1.0, 0.0, 1.0, 0.5)),
        (summary_arm(20_000, 10.0, 25.0, 9.8, 24.0, 17.0), summary_arm(20_000, 12.5, 26.0, 9.9, 24.5, 17.5)),
    ]
    for c, t in summaries:
        for alternative in ["two-sided", "greater", "less"]:
            for alpha in [0.05, 0.001]:
                answer, thetas, arms = cuped_exact(joint_of(c), joint_of(t), alpha, alternative)
                answer["theta"] = thetas[0]
                answer["lift_ci"] = lift_by_fieller(joint_of(c), joint_of(t), arms, mp.mpf(thetas[0]), alpha)
                own = welch_exact({"n": c["n"], "mean": c["covariate_mean"], "variance": c["covariate_variance"]}, {"n": t["n"], "mean": t["covariate_mean"], "variance": t["covariate_variance"]}, 0.05, "two-sided")
                answer["covariate_p_value"] = own["p_value"]
                request = {"method": "cuped", "control": c, "treatment": t, "alpha": alpha, "alternative": alternative}
                cases.append(case(request, answer))
    flat = [dict(c, covariate_variance=0.0, covariance=0.0, covariate_mean=1.0) for c in summaries[0]]
    plain = welch_exact(flat[0], flat[1], 0.05, "two-sided")
    cases.append(case({"method": "cuped", "control": flat[0], "treatment": flat[1]}, plain | {"theta": 0.0, "variance_reduction": 0.0, "covariate_p_value": None}))
    # The covariate explains everything: nothing is left to test with.
    whole = [summary_arm(100, 10.0, 4.0, 20.0, 16.0, 8.0), summary_arm(100, 11.0, 4.0, 22.0, 16.0, 8.0)]
    cases.append(case({"method": "cuped", "control": whole[0], "treatment": whole[1]}, {"statistic": None, "p_value": None, "ci": None, "status": "zero_variance", "theta": 0.5}))
    single = {"method": "cuped", "control": summary_arm(1, 1.0, 0.0, 1.0, 0.0, 0.0), "treatment": summaries[0][1]}
    cases.append(case(single, {"effect": None, "p_value": None, "status": "too_few_units"}))
    # From the values, ours and tea-tasting's.
    for n_c, n_t, noise, offset in [(40, 35, 1.0, 0), (300, 60, 3.0, 0), (50, 50, 0.2, 1e8)]:
        arms = []
        for n, shift in [(n_c, 0), (n_t, 0.5)]:
            x = np.round(rng.gamma(2, 2, n), 3)
            arms.append((np.round(0.8 * x + rng.normal(shift, noise, n), 3) + offset, x + offset))
        joint = [moments_of(y.tolist(), x.tolist()) for y, x in arms]
        answer, thetas, _ = cuped_exact(*joint, 0.05, "two-sided")
        request = {"method": "cuped_raw", "control": {"values": arms[0][0].tolist(), "covariate": arms[0][1].tolist()}, "treatment": {"values": arms[1][0].tolist(), "covariate": arms[1][1].tolist()}}
        cases.append(case(request, answer | {"theta": thetas[0]}, 1e-7 if offset else None))
        frame = pd.concat([pd.DataFrame({"variant": v, "y": y, "x": x}) for v, (y, x) in enumerate(arms)])
        if not offset:
            theirs = tt.Experiment(m=tt.Mean("y", "x", equal_var=False)).analyze(frame)["m"]
            assert abs(theirs.pvalue / answer["p_value"] - 1) < 1e-9
        # Least squares.
        for covariance in [None, "HC2"]:
            for alternative in ["two-sided", "greater"]:
                design = sm.add_constant(np.column_stack([frame["variant"], frame["x"] - offset]).astype(float))
                fit = sm.OLS(frame["y"].to_numpy() - offset, design).fit(**({"cov_type": covariance, "use_t": True} if covariance else {}))
                effect, se, df = mp.mpf(fit.params[1]), mp.mpf(fit.bse[1]), mp.mpf(fit.df_resid)
                expect = t_test(effect, se, df, 0.05, alternative) | {"theta": float(fit.params[2])}
                more = {"covariance": covariance} if covariance else {}
                body = {k: v for k, v in request.items() if k != "method"}
                cases.append(case({"method": "ancova", "alternative": alternative} | body | more, expect, 1e-6 if offset else None))
                if alternative == "two-sided":
                    assert abs(fit.pvalues[1] / expect["p_value"] - 1) < 1e-7
    same = {"method": "ancova", "control": {"values": [1.0, 2.0, 4.0], "covariate": [7.0] * 3}, "treatment": {"values": [3.0, 5.0], "covariate": [7.0] * 2}}
    pooled = stats.ttest_ind([3.0, 5.0], [1.0, 2.0, 4.0])
    cases.append(case(same, {"statistic": float(pooled.statistic), "p_value": float(pooled.pvalue), "df": 3.0, "theta": 0.0}))
    confounded = same | {"treatment": {"values": [3.0, 5.0], "covariate": [8.0] * 2}}
    cases.append(case(confounded, {"effect": None, "p_value": None, "status": "degenerate"}))
    # Several covariates.
    for k, n_c, n_t in [(1, 50, 40), (2, 500, 60), (4, 1000, 1000)]:
        joint = []
        for n, shift in [(n_c, 0), (n_t, 0.3)]:
            common = rng.normal(0, 1, n)
            xs = [np.round(common + rng.normal(0, 1 + i, n), 3) for i in range(k)]
            y = np.round(common + 0.3 * sum(xs) + rng.normal(shift, 1, n), 3)
            joint.append(moments_of(y.tolist(), *[x.tolist() for x in xs]))
        joint = [(n, [mp.mpf(float(m)) for m in means], [[mp.mpf(float(v)) for v in row] for row in cov]) for n, means, cov in joint]
        answer, thetas, _ = cuped_exact(*joint, 0.05, "two-sided")
        spell = lambda j: {"n": j[0], "means": [float(m) for m in j[1]], "covariance": [[float(v) for v in row] for row in j[2]]}
        cases.append(case({"method": "cuped_many", "control": spell(joint[0]), "treatment": spell(joint[1])}, answer | {"thetas": thetas}))
    # Ratios with a ratio before.
    for n_c, n_t in [(60, 50), (4000, 500)]:
        columns = []
        for n, shift in [(n_c, 0), (n_t, 0.1)]:
            rate = rng.gamma(4, 0.25, n)
            w, d = rng.poisson(4, n) + 1, rng.poisson(4, n) + 1
            x = np.round(rng.gamma(3, 1 / 3, n) * rate * w, 3)
            y = np.round(rng.gamma(3, 1 / 3, n) * (rate + shift) * d, 3)
            columns.append((y, d, x, w))
        joint = [moments_of(*[c.tolist() for c in arm]) for arm in columns]
        joint = [(n, [mp.mpf(float(m)) for m in means], [[mp.mpf(float(v)) for v in row] for row in cov]) for n, means, cov in joint]
        n, means, cov = merged(*joint)
        gradient = lambda m, above, below: {above: 1 / m[below], below: -m[above] / m[below] ** 2}
        along = lambda c, f, g: sum(f[i] * g[j] * c[i][j] for i in f for j in g)
        now, before = gradient(means, 0, 1), gradient(means, 2, 3)
        theta = along(cov, now, before) / along(cov, before, before)
        arms = []
        for size, m, c in joint:
            g, h = gradient(m, 0, 1), gradient(m, 2, 3)
            whole = {i: g.get(i, 0) - theta * h.get(i, 0) for i in range(4)}
            arms.append((mp.mpf(size), m[0] / m[1] - theta * (m[2] / m[3] - means[2] / means[3]), along(c, whole, whole)))
        for alternative in ["two-sided", "less"]:
            answer = welch_of(*arms, 0.05, alternative)
            spell = lambda j: {"n": j[0], "means": [float(m) for m in j[1]], "covariance": [[float(v) for v in row] for row in j[2]]}
            request = {"method": "ratio_cuped", "order": ["num", "den", "num_pre", "den_pre"], "control": spell(joint[0]), "treatment": spell(joint[1]), "alternative": alternative}
            cases.append(case(request, answer | {"theta": out(theta)}))
        places = [1, 0, 3, 2]
        turn = lambda arm: {"n": arm["n"], "means": [arm["means"][i] for i in places], "covariance": [[arm["covariance"][i][j] for j in places] for i in places]}
        turned = request | {"order": ["den", "num", "den_pre", "num_pre"], "control": turn(request["control"]), "treatment": turn(request["treatment"])}
        cases.append(case(turned, answer))
        frame = pd.concat([pd.DataFrame({"variant": v, "y": a[0], "d": a[1], "x": a[2], "w": a[3]}) for v, a in enumerate(columns)])
        theirs = tt.Experiment(m=tt.RatioOfMeans("y", "d", "x", "w", equal_var=False, alternative="less")).analyze(frame)["m"]
        assert abs(theirs.pvalue / answer["p_value"] - 1) < 1e-8, (theirs.pvalue, answer["p_value"])
    # Strata with and without the covariate.
    c, t = summaries[0]
    bare = {"control": {"n": 800, "mean": 4.0, "variance": 9.0}, "treatment": {"n": 700, "mean": 4.2, "variance": 8.0}}
    _, _, arms = cuped_exact(joint_of(c), joint_of(t), 0.05, "two-sided")
    parts = [(arms[0], arms[1]), tuple((mp.mpf(a["n"]), mp.mpf(a["mean"]), mp.mpf(a["variance"])) for a in (bare["control"], bare["treatment"]))]
    cases.append(case({"method": "cuped_strata", "strata": [{"control": c, "treatment": t}, bare]}, stratified_of(parts)))
    write("cuped", "formulas of CUPED, delta method and Fieller in 50 digits over exact moments (mpmath, fractions); tea-tasting Mean and RatioOfMeans with covariates, statsmodels OLS with and without HC2", cases)


def stratified_of(strata):
    """Weights n_k/n and Satterthwaite's degrees of freedom."""
    n = sum(c[0] + t[0] for c, t in strata)
    effect = sum((c[0] + t[0]) / n * (t[1] - c[1]) for c, t in strata)
    parts = [(((c[0] + t[0]) / n) ** 2 * arm[2] / arm[0], arm[0] - 1) for c, t in strata for arm in (c, t)]
    variance = sum(p for p, _ in parts)
    df = variance**2 / sum(p**2 / d for p, d in parts)
    return t_test(effect, mp.sqrt(variance), df)


# Quantiles.


def quantile_ranks():
    rng = np.random.default_rng(20260202)
    cases = []
    for n, q in [(1, 0.5), (5, 0.5), (6, 0.5), (30, 0.1), (200, 0.5), (200, 0.9), (200, 0.99), (1000, 0.99), (401, 0.25)]:
        values = np.round(rng.lognormal(3, 1, n), 2)
        if n == 200 and q == 0.9:
            values = np.round(values)  # ties
        for level in [0.0, q, 1.0]:
            cases.append(case({"method": "quantile", "values": values.tolist(), "q": level}, {"estimate": float(np.quantile(values, level))}))
        for alpha in [0.05, 0.2, 0.001]:
            ci = stats.quantile_test(values, q=0, p=q).confidence_interval(1 - alpha)
            expect = {"estimate": float(np.quantile(values, q)), "ci": [out(ci.low), out(ci.high)]}
            if None in expect["ci"]:
                expect["status"] = "too_few_units"
            request = {"method": "quantile_ci", "values": values.tolist(), "q": q, "alpha": alpha, "interval": "order_statistic"}
            cases.append(case(request, expect))
            half = stats.norm.isf(alpha / 2) * math.sqrt(n * q * (1 - q))
            low, high = math.floor(n * q - half), math.ceil(n * q + half)
            ordered = np.sort(values)
            ends = [float(ordered[low - 1]) if low >= 1 else None, float(ordered[high - 1]) if high <= n else None]
            cases.append(case(request | {"interval": "normal"}, {"ci": ends}))
    z = mp.sqrt(2) * mp.erfinv(mp.mpf("0.95"))
    for q, n_c, n_t in [(0.99, 10_000, 10_200), (0.5, 50, 4000), (0.9, 400, 380), (0.99, 381, 10_000), (0.999, 10_000, 10_000), (0.5, 3, 100)]:
        c = {"n": n_c, "estimate": 812.5, "ci95": [798.2, 826.9]}
        t = {"n": n_t, "estimate": 795.1, "ci95": [781.0, 809.4]}
        least = z * z * max(q, 1 - q) / min(q, 1 - q)
        effect = mp.mpf(795.1) - mp.mpf(812.5)
        request = {"method": "quantile_test", "q": q, "control": c, "treatment": t}
        if min(n_c, n_t) <= least:
            cases.append(case(request, {"effect": float(effect), "se": None, "p_value": None, "status": "too_few_units"}))
            continue
        part = lambda a: ((mp.mpf(a["ci95"][1]) - mp.mpf(a["ci95"][0])) / (2 * z)) ** 2
        cases.append(case(request, z_test(effect, mp.sqrt(part(c) + part(t)))))
    cases.append(case(request | {"q": 0.5, "control": c | {"n": 100, "ci95": [5.0, 5.0]}, "treatment": t | {"n": 100, "ci95": [6.0, 6.0]}}, {"se": None, "p_value": None, "status": "zero_variance"}))
    for q, n_clusters, mean_events in [(0.9, 5000, 10), (0.5, 300, 3), (0.99, 4000, 5)]:
        events = rng.poisson(mean_events, n_clusters) + 1
        below = rng.binomial(events, rng.beta(5 * q, 5 * (1 - q), n_clusters))
        sums = {
            "sum_below": int(below.sum()), "sum_below_sq": int((below**2).sum()), "sum_events": int(events.sum()),
            "sum_events_sq": int((events**2).sum()), "sum_cross": int((below * events).sum()),
        }
        n, g = int(events.sum()), mp.mpf(n_clusters)
        # gbstats' get_cluster_variance, in 50 digits.
        mu_s, mu_n = sums["sum_below"] / g, sums["sum_events"] / g
        s2 = (sums["sum_below_sq"] / g - mu_s**2) * g / (g - 1)
        n2 = (sums["sum_events_sq"] / g - mu_n**2) * g / (g - 1)
        sn = (sums["sum_cross"] / g - mu_s * mu_n) * g / (g - 1)
        clustered = (s2 - 2 * mu_s * sn / mu_n + mu_s**2 * n2 / mu_n**2) / (g * mu_n**2)
        se = (mp.mpf(424.2) - mp.mpf(416.0)) / (2 * z) * mp.sqrt(clustered / (mp.mpf(q) * (1 - mp.mpf(q)) / n))
        request = {"method": "quantile_clustered_variance", "q": q, "n_events": n, "n_clusters": n_clusters, "ci95": [416.0, 424.2]} | sums
        cases.append(case(request, {"se": out(se)}))
    cases.append(case(request | {"n_clusters": 1}, {"se": None, "status": "too_few_units"}))
    cases.append(case(request | {"n_events": 200}, {"se": None, "status": "too_few_units"}))
    # The bootstrap without resampling, enumerated.
    for n_c, n_t, q in [(40, 60, 0.5), (150, 100, 0.9), (30, 30, 0.25)]:
        c, t = np.sort(np.round(rng.lognormal(3, 1, n_c), 2)), np.sort(np.round(rng.lognormal(3.1, 1, n_t), 2))

        def law(values):
            n = len(values)
            cdf = stats.binom.cdf(np.arange(0, n + 1), n + 1, q)
            weights = np.diff(np.concatenate([[0.0], cdf[1:]]))
            weights[-1] = 1 - cdf[n - 1]
            return weights

        weights = np.outer(law(c), law(t)).ravel()
        gaps = (t[None, :] - c[:, None]).ravel()
        order = np.argsort(gaps)
        total = np.cumsum(weights[order])
        ends = [gaps[order][np.searchsorted(total, tail)] for tail in (0.025, 0.975)]
        expect = {"effect": float(np.quantile(t, q) - np.quantile(c, q)), "ci": [float(e) for e in ends]}
        cases.append(case({"method": "quantile_bootstrap", "q": q, "control": {"values": c.tolist()}, "treatment": {"values": t.tolist()}}, expect, 1e-8))
    # A sketch that is exact, and one that is not.
    values = np.round(rng.lognormal(3, 1, 3000), 2)
    chunks = [values[:10].tolist(), [], values[10:2000].tolist(), values[2000:].tolist()]
    for q in [0.5, 0.99]:
        ci = stats.quantile_test(values, q=0, p=q).confidence_interval(0.95)
        expect = {"n": 3000, "estimate": float(np.quantile(values, q)), "ci": [float(ci.low), float(ci.high)], "exact": True}
        cases.append(case({"method": "quantile_sketch", "chunks": chunks, "q": q}, expect))
    cases.append(case({"method": "quantile_sketch", "chunks": [[], []], "q": 0.5}, {"estimate": None, "status": "too_few_units"}))
    write("quantile_ranks", "numpy quantile, scipy quantile_test, gbstats' formulas for quantiles in 50 digits (mpmath), enumeration with scipy binom", cases)


# Clusters and switchbacks.


def cluster():
    rng = np.random.default_rng(20260203)
    cases = []
    for n_clusters, spread, size in [(24, 1.0, 5), (60, 0.3, 20), (6, 2.0, 3), (200, 0.0, 2)]:
        names, treated, values = [], [], []
        for g in range(n_clusters):
            level = rng.normal(10, spread)
            arm = g % 2 if n_clusters != 60 else int(g % 5 == 0)
            for _ in range(rng.poisson(size) + 1):
                names.append(f"c{g}" if n_clusters == 6 else g)
                treated.append(arm)
                values.append(round(float(level + 0.3 * arm + rng.normal(0, 1)), 3))
        codes = pd.factorize(np.array(names))[0]
        design = sm.add_constant(np.array(treated, float))
        for alternative in ["two-sided", "greater"]:
            fit = sm.OLS(np.array(values), design).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
            request = {"cluster": names, "treatment": treated, "values": values, "alternative": alternative}
            expect = t_test(mp.mpf(fit.params[1]), mp.mpf(fit.bse[1]), mp.mpf(n_clusters - 1), 0.05, alternative)
            few = {"n_clusters": n_clusters, "few_clusters": n_clusters < 20}
            cases.append(case({"method": "cluster_robust"} | request, expect | few))
            if alternative == "two-sided":
                assert abs(fit.pvalues[1] / expect["p_value"] - 1) < 1e-8
            frame = pd.DataFrame({"g": codes, "variant": treated, "v": values}).groupby("g").agg(variant=("variant", "first"), s=("v", "sum"), n=("v", "size"))
            joint = []
            for arm in (0, 1):
                own = frame[frame["variant"] == arm]
                n, (my, md), cov = moments_of(own["s"].tolist(), [int(v) for v in own["n"]])
                r = my / md
                joint.append((mp.mpf(n), r, (cov[0][0] - 2 * r * cov[0][1] + r * r * cov[1][1]) / md**2))
            expect = welch_of(*joint, 0.05, alternative)
            cases.append(case({"method": "cluster_delta"} | request, expect | few))
            if alternative == "two-sided":
                theirs = tt.Experiment(m=tt.RatioOfMeans("s", "n", equal_var=False)).analyze(frame.reset_index())["m"]
                assert abs(theirs.pvalue / expect["p_value"] - 1) < 1e-8
    few = {"cluster": [1, 1, 2, 2], "treatment": [0, 0, 1, 1], "values": [1.0, 2.0, 3.0, 5.0]}
    cases.append(case({"method": "cluster_robust"} | few, {"effect": 2.5, "p_value": None, "status": "too_few_units", "few_clusters": True}))
    cases.append(case({"method": "cluster_delta"} | few, {"effect": 2.5, "p_value": None, "status": "too_few_units"}))
    one_arm = {"method": "cluster_delta", "cluster": [1, 2], "treatment": [1, 1], "values": [1.0, 2.0]}
    cases.append(case(one_arm, {"effect": None, "p_value": None, "status": "too_few_units"}))
    write("cluster", "statsmodels OLS with cluster-robust errors, delta method over exact moments in 50 digits (mpmath), tea-tasting RatioOfMeans", cases)


def switchback():
    rng = np.random.default_rng(20260204)
    cases = []
    for length, effect, memory in [(48, 0.8, 0.5), (200, 0.1, 0.9), (12, 2.0, 0.0), (30, 0.0, -0.4)]:
        treated = rng.integers(0, 2, length)
        treated[:2] = [0, 1]
        noise = np.zeros(length)
        for i in range(length):
            noise[i] = memory * noise[i - 1] + rng.normal() if i else rng.normal()
        values = np.round(20 + effect * treated + noise, 3)
        request = {"values": values.tolist(), "treatment": [int(t) for t in treated]}
        for lags in [0, 1, 5, None]:
            most = lags if lags is not None else math.floor(1.3 * math.sqrt(length))
            fit = sm.OLS(values, sm.add_constant(treated.astype(float))).fit(cov_type="HAC", cov_kwds={"maxlags": most, "use_correction": False})
            for alternative in ["two-sided", "less"]:
                more = {} if lags is None else {"max_lags": lags}
                expect = z_test(mp.mpf(fit.params[1]), mp.mpf(fit.bse[1]), 0.05, alternative)
                cases.append(case({"method": "switchback_hac", "alternative": alternative} | request | more, expect | {"max_lags": most}))
        for burn_in in [0, 1]:
            kept = [i for i in range(length) if i >= burn_in and len(set(treated[i - burn_in : i + 1].tolist())) == 1]
            c, t = [moments_of(values[[i for i in kept if treated[i] == arm]].tolist()) for arm in (0, 1)]
            if min(c[0], t[0]) < 2:
                continue
            expect = welch_of(*[(mp.mpf(a[0]), a[1][0], a[2][0][0]) for a in (c, t)])
            cases.append(case({"method": "switchback_welch", "burn_in": burn_in} | request, expect | {"n_buckets": len(kept)}))
    # All schedules.
    for treated in [[1, 1, 0, 0, 1, 0, 1, 0, 0], [0, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0]]:
        values = np.round(20 + 1.2 * np.array(treated) + rng.normal(0, 1, len(treated)), 2)
        exact = rational(values.tolist())
        mean = sum(exact) / len(exact)
        seen = sum(v - mean for v, t in zip(exact, treated) if t)
        sums = [sum(exact[i] - mean for i in chosen) for chosen in itertools.combinations(range(len(treated)), sum(treated))]
        for alternative, hit in [("two-sided", lambda s: abs(s) >= abs(seen)), ("greater", lambda s: s >= seen), ("less", lambda s: s <= seen)]:
            request = {"method": "switchback_randomisation", "values": values.tolist(), "treatment": treated, "alternative": alternative}
            cases.append(case(request, {"p_value": sum(map(hit, sums)) / len(sums), "schedules": len(sums), "exact": True}))
    flat = {"values": [1.0] * 6, "treatment": [0, 1, 0, 1, 0, 1]}
    for method in ["switchback_hac", "switchback_welch"]:
        cases.append(case({"method": method} | flat, {"p_value": None, "ci": None, "status": "zero_variance"}))
    cases.append(case({"method": "switchback_hac", "values": [1.0, 2.0, 4.0], "treatment": [1, 1, 1]}, {"effect": None, "status": "too_few_units"}))
    write("switchback", "statsmodels OLS with HAC errors, Welch's formulas in 50 digits (mpmath), all schedules in rational numbers", cases)


# Segments and periods.


def segments():
    rng = np.random.default_rng(20260205)
    cases = []
    families = [
        [(0.02, 0.01), (0.025, 0.012), (0.018, 0.011), (0.022, 0.01)],
        [(0.5, 0.1), (-0.3, 0.2), (0.1, 0.15)],
        [(0.1, 0.05)],
        [(1e6 + 1.0, 0.5), (1e6 + 3.0, 0.7)],
        [(0.0, 1e-150), (1e-150, 1e-150)],
        [(0.1, 0.001), (0.2, 0.001), (0.15, 0.001)],
        [(float(round(rng.normal(0, 1), 4)), float(round(rng.uniform(0.3, 1), 4))) for _ in range(60)],
        [(0.3, 0.1), (0.3, 0.2)],
    ]
    for family in families:
        d, s = [mp.mpf(e) for e, _ in family], [mp.mpf(v) for _, v in family]
        w = [1 / v**2 for v in s]
        fixed = sum(a * b for a, b in zip(w, d)) / sum(w)
        q = sum(a * (b - fixed) ** 2 for a, b in zip(w, d))
        df = len(family) - 1
        tau2 = max(mp.mpf(0), (q - df) / (sum(w) - sum(a * a for a in w) / sum(w))) if df else mp.mpf(0)
        r = [1 / (v**2 + tau2) for v in s]
        random = sum(a * b for a, b in zip(r, d)) / sum(r)
        expect = {
            "q": out(q) if len(set(d)) > 1 else 0.0, "df": df,
            "p_value": out(mp.gammainc(mp.mpf(df) / 2, q / 2, mp.inf, regularized=True)) if df else None,
            "i2": out(max(mp.mpf(0), (q - df) / q)) if q > 0 and df else 0.0, "tau2": out(tau2),
            "fixed_effect": out(fixed), "fixed_se": out(1 / mp.sqrt(sum(w))),
            "random_effect": out(random), "random_se": out(1 / mp.sqrt(sum(r))),
        }
        cases.append(case({"method": "heterogeneity", "segments": [{"effect": e, "se": v} for e, v in family]}, expect, 1e-8 if len(family) > 50 else None))
        if 1 < len(family) and s[0] > 1e-9 and abs(d[0]) < 1e5:
            theirs = meta_analysis.combine_effects(np.array([e for e, _ in family]), np.array([v**2 for _, v in family]), method_re="dl")
            assert abs(theirs.q - expect["q"]) < 1e-8 * (1 + expect["q"])
            assert abs(max(theirs.tau2, 0) - expect["tau2"]) < 1e-10
    cases.append(case({"method": "heterogeneity", "segments": [{"effect": 1.0, "se": 0.0}, {"effect": 2.0, "se": 1.0}]}, {"q": None, "p_value": None, "status": "zero_variance"}))
    cases.append(case({"method": "heterogeneity", "segments": []}, {"q": None, "status": "too_few_units"}))
    arm = lambda n, mean, variance: {"n": n, "mean": mean, "variance": variance}
    strata = [
        [(arm(500, 10.0, 4.0), arm(500, 10.4, 4.0)), (arm(1500, 20.0, 9.0), arm(1500, 20.3, 9.0))],
        [(arm(5, 1.0, 2.0), arm(80, 2.0, 1.0)), (arm(200, -3.0, 5.0), arm(20, -2.0, 0.0)), (arm(2, 0.0, 1.0), arm(2, 9.0, 1.0))],
        [(arm(30, 1.0, 2.0), arm(30, 1.5, 2.0))],
    ]
    for family in strata:
        parts = [tuple((mp.mpf(a["n"]), mp.mpf(a["mean"]), mp.mpf(a["variance"])) for a in pair) for pair in family]
        request = {"method": "stratified_mean", "strata": [{"control": c, "treatment": t} for c, t in family]}
        cases.append(case(request, stratified_of(parts)))
    thin = {"method": "stratified_mean", "strata": [{"control": arm(1, 1.0, 0.0), "treatment": arm(9, 1.0, 1.0)}]}
    cases.append(case(thin, {"effect": None, "p_value": None, "status": "too_few_units"}))
    share = lambda n, x: {"n": n, "successes": x}
    shares = [
        ([(share(270, 234), share(87, 81)), (share(80, 55), share(263, 192))], True),
        ([(share(100, 10), share(100, 20)), (share(100, 30), share(100, 35))], False),
        ([(share(100, 10), share(100, 10)), (share(100, 30), share(50, 15))], False),
        ([(share(100, 10), share(0, 0)), (share(100, 30), share(100, 35))], False),
    ]
    for family, reversal in shares:
        pool = lambda k: (sum(pair[k]["successes"] for pair in family), sum(pair[k]["n"] for pair in family))
        (xc, nc), (xt, nt) = pool(0), pool(1)
        effects = [t["successes"] / t["n"] - c["successes"] / c["n"] if c["n"] and t["n"] else None for c, t in family]
        request = {"method": "simpson", "strata": [{"control": c, "treatment": t} for c, t in family]}
        cases.append(case(request, {"pooled_effect": xt / nt - xc / nc, "stratum_effects": effects, "reversal": reversal}))
    means = [{"control": {"n": 10, "mean": 1.0}, "treatment": {"n": 90, "mean": 2.0}}, {"control": {"n": 90, "mean": 10.0}, "treatment": {"n": 10, "mean": 11.0}}]
    cases.append(case({"method": "simpson", "strata": means}, {"pooled_effect": 2.9 - 9.1, "stratum_effects": [1.0, 1.0], "reversal": True}))
    tables = [
        [[[81, 6], [234, 36]], [[192, 71], [55, 25]]],
        [[[126, 100], [35, 61]], [[908, 688], [497, 807]], [[913, 747], [336, 598]], [[235, 172], [58, 121]]],  # part of the Chinese smoking data
        [[[0, 10], [3, 7]], [[1, 20], [4, 30]]],
        [[[500, 0], [100, 400]], [[300, 10], [50, 290]]],
        [[[2, 3], [4, 5]], [[1, 0], [0, 0]], [[0, 0], [0, 0]]],
        [[[5, 0], [0, 5]]],
        [[[400_000, 600_000], [405_000, 595_000]], [[10_000, 990_000], [10_300, 989_700]]],
    ]
    for family in tables:
        for correction in [False, True]:
            own = [[[mp.mpf(v) for v in row] for row in table] for table in family if sum(map(sum, table)) > 1]
            gap = variance = mp.mpf(0)
            R, S, P = [], [], []
            for (a, b), (c, d) in own:
                n = a + b + c + d
                gap += a - (a + b) * (a + c) / n
                variance += (a + b) * (a + c) * (b + d) * (c + d) / (n**2 * (n - 1))
                R.append(a * d / n), S.append(b * c / n), P.append((a + d) / n)
            distance = max(abs(gap) - mp.mpf(correction) / 2, mp.mpf(0))
            statistic = distance**2 / variance
            odds = sum(R) / sum(S) if sum(S) else "Infinity"
            se = None
            if sum(R) and sum(S):
                se = mp.sqrt((sum(p * r for p, r in zip(P, R)) / sum(R) ** 2 + sum(p * s + (1 - p) * r for p, r, s in zip(P, R, S)) / (sum(R) * sum(S)) + sum((1 - p) * s for p, s in zip(P, S)) / sum(S) ** 2) / 2)
            expect = {"odds_ratio": odds if odds == "Infinity" else out(odds), "log_or_se": out(se) if se is not None else None, "statistic": out(statistic), "p_value": out(mp.erfc(mp.sqrt(statistic / 2)))}
            if se is not None:
                z = mp.mpf(stats.norm.isf(0.025))
                expect["odds_ratio_ci"] = [out(odds * mp.exp(-z * se)), out(odds * mp.exp(z * se))]
            cases.append(case({"method": "cochran_mantel_haenszel", "tables": family, "correction": correction}, expect))
            if not correction and se is not None and len(own) == len(family):
                theirs = contingency_tables.StratifiedTable([np.array(t, float) for t in family])
                assert abs(theirs.oddsratio_pooled / float(odds) - 1) < 1e-9
                assert abs(theirs.logodds_pooled_se / float(se) - 1) < 1e-9
                assert abs(theirs.test_null_odds().statistic / float(statistic) - 1) < 1e-8
    empty = {"method": "cochran_mantel_haenszel", "tables": [[[0, 5], [0, 7]]]}
    cases.append(case(empty, {"odds_ratio": None, "statistic": None, "p_value": None, "status": "zero_variance"}))
    # Interaction, novelty, dilution, noise.
    cells = {"cc": arm(1000, 10.0, 4.0), "ct": arm(1000, 10.2, 4.0), "tc": arm(1000, 10.1, 4.1), "tt": arm(1000, 10.6, 4.2)}
    for shift in [0.0, 3.0, -9.0]:
        own = cells | {"tt": arm(1000, 10.6 + shift, 4.2)}
        effect = (mp.mpf(own["tt"]["mean"]) - mp.mpf(10.1)) - (mp.mpf(10.2) - mp.mpf(10.0))
        se = mp.sqrt(sum(mp.mpf(c["variance"]) / c["n"] for c in own.values()))
        for alternative in ["two-sided", "greater", "less"]:
            cases.append(case({"method": "interaction_2x2", "cells": own, "alternative": alternative}, z_test(effect, se, 0.05, alternative)))
    for early, late in [((0.05, 0.02), (0.01, 0.015)), ((-1.0, 0.01), (1.0, 0.02)), ((0.3, 1.0), (0.3, 0.1))]:
        effect = mp.mpf(late[0]) - mp.mpf(early[0])
        expect = z_test(effect, mp.sqrt(mp.mpf(early[1]) ** 2 + mp.mpf(late[1]) ** 2))
        expect["change"] = expect.pop("effect")
        cases.append(case({"method": "novelty", "early": {"effect": early[0], "se": early[1]}, "late": {"effect": late[0], "se": late[1]}}, expect))
    cases.append(case({"method": "novelty", "early": {"effect": 1.0, "se": 0.0}, "late": {"effect": 2.0, "se": 0.0}}, {"change": 1.0, "p_value": None, "status": "zero_variance"}))
    early, late = [np.round(rng.normal(m, 1, 80), 2) for m in (1.0, 1.2)]
    late += np.round(0.7 * early, 2)
    arms, parts = [], []
    for rows in (slice(0, 45), slice(45, 80)):
        n, (ml, me), cov = moments_of(late[rows].tolist(), early[rows].tolist())
        m = [float(v) for v in (ml, me, cov[0][0], cov[1][1], cov[0][1])]
        arms.append({"n": n, "late_mean": m[0], "early_mean": m[1], "late_variance": m[2], "early_variance": m[3], "covariance": m[4]})
        parts.append((mp.mpf(n), mp.mpf(m[0]) - mp.mpf(m[1]), mp.mpf(m[2]) + mp.mpf(m[3]) - 2 * mp.mpf(m[4])))
        gap = late[rows] - early[rows]
        assert abs(float(parts[-1][2]) / gap.var(ddof=1) - 1) < 1e-9
    cases.append(case({"method": "novelty_paired", "control": arms[0], "treatment": arms[1]}, welch_of(*parts)))
    for effect, se, triggered, n in [(0.5, 0.1, 1000, 10_000), (-2.0, 0.3, 10_000, 10_000), (0.4, 0.0, 5, 10)]:
        rate = mp.mpf(triggered) / n
        spread = mp.sqrt(rate**2 * mp.mpf(se) ** 2 + mp.mpf(effect) ** 2 * rate * (1 - rate) / n)
        cases.append(case({"method": "dilution", "effect": effect, "se": se, "n_triggered": triggered, "n": n}, z_test(rate * mp.mpf(effect), spread) | {"rate": float(rate)}))
    cases.append(case({"method": "dilution", "effect": 1.0, "se": 0.1, "n_triggered": 0, "n": 10}, {"p_value": None, "status": "zero_variance", "rate": 0.0}))
    for se, sensitivity, epsilon in [(0.01, 0.0001, 0.1), (0.0, 0.5, 2.0), (1e200, 1e200, 0.5), (0.3, 0.0, 1.0)]:
        scale = mp.mpf(sensitivity) / mp.mpf(epsilon)
        cases.append(case({"method": "dp_laplace", "se": se, "sensitivity": sensitivity, "epsilon": epsilon}, {"scale": out(scale), "se_total": out(mp.sqrt(mp.mpf(se) ** 2 + 2 * scale**2))}))
    cases.append(case({"method": "dp_laplace", "se": 0.1, "lower": -5.0, "upper": 20.0, "n": 1000, "epsilon": 0.5}, {"scale": 0.05, "sensitivity": 0.025, "se_total": math.sqrt(0.01 + 2 * 0.0025)}))
    write("segments", "formulas in 50 digits (mpmath); statsmodels combine_effects and StratifiedTable; kidney stones of Charig et al. (1986)", cases)


# Limited values, ranks, equivalence.


def winsorise():
    rng = np.random.default_rng(20260206)
    cases = []
    for n_c, n_t, upper, lower in [(200, 200, 0.99, None), (50, 30, 0.9, None), (40, 40, 0.95, 0.05), (30, 30, 1.0, None), (20, 25, None, None)]:
        c, t = np.round(rng.lognormal(0, 1.8, n_c), 3), np.round(rng.lognormal(0.2, 1.8, n_t), 3)
        whole = np.concatenate([c, t])
        high = float(np.quantile(whole, upper)) if upper is not None else math.inf
        low = float(np.quantile(whole, lower)) if lower is not None else -math.inf
        for alternative in ["two-sided", "greater"]:
            parts = []
            for values in (c, t):
                n, (mean,), cov = moments_of(np.clip(values, low, high).tolist())
                parts.append((mp.mpf(n), mean, cov[0][0]))
            expect = welch_of(*parts, 0.05, alternative) | {"control_mean": out(parts[0][1]), "treatment_mean": out(parts[1][1]), "share_capped": float(np.mean((whole > high) | (whole < low)))}
            expect["cap"] = high if upper is not None else None
            raw = [moments_of(values.tolist()) for values in (c, t)]
            expect["raw"] = welch_of(*[(mp.mpf(n), m[0], v[0][0]) for n, m, v in raw], 0.05, alternative)
            request = {"method": "winsorized_welch", "control": {"values": c.tolist()}, "treatment": {"values": t.tolist()}, "alternative": alternative}
            request |= {k: v for k, v in [("upper_quantile", upper), ("lower_quantile", lower)] if v is not None}
            cases.append(case(request, expect))
    flat = {"method": "winsorized_welch", "control": {"values": [0.0] * 9 + [5.0]}, "treatment": {"values": [0.0] * 10}, "upper_quantile": 0.5}
    cases.append(case(flat, {"effect": 0.0, "p_value": None, "status": "zero_variance", "cap": 0.0, "share_capped": 0.05}))
    write("winsorise", "numpy quantile and clip, Welch's formulas in 50 digits over exact moments (mpmath, fractions)", cases)


def ranks():
    rng = np.random.default_rng(20260207)
    cases = []
    samples = [
        ([1.1, 2.2, 3.3], [4.4, 5.5]), ([3.0], [1.0]), ([1.0, 5.0, 7.0, 9.0], [2.0, 3.0, 4.0, 6.0, 8.0]),
        ([0.0, 0.0, 1.0, 2.0], [0.0, 3.0, 3.0, 4.0]), ([0.0] * 40 + [1.0, 2.0], [0.0] * 30 + [1.0] * 6),
        (np.round(rng.normal(0, 1, 20), 6).tolist(), np.round(rng.normal(0.4, 1, 20), 6).tolist()),
        (np.round(rng.normal(0, 1, 300), 6).tolist(), np.round(rng.normal(0.2, 1, 200), 6).tolist()),
        (np.round(rng.normal(0, 1, 500), 6).tolist(), np.round(rng.normal(3, 1, 500), 6).tolist()),
    ]
    for c, t in samples:
        ties = len(set(c + t)) < len(c) + len(t)
        exact = not ties and len(c) * len(t) <= 400
        for alternative in ["two-sided", "greater", "less"]:
            theirs = stats.mannwhitneyu(t, c, alternative=alternative, method="exact" if exact else "asymptotic")
            request = {"method": "mann_whitney", "control": {"values": c}, "treatment": {"values": t}, "alternative": alternative}
            cases.append(case(request, {"statistic": float(theirs.statistic), "probability": float(theirs.statistic) / (len(c) * len(t)), "p_value": float(theirs.pvalue), "exact": exact}))
    cases.append(case({"method": "mann_whitney", "control": {"values": [1.0, 1.0]}, "treatment": {"values": [1.0]}}, {"p_value": None, "status": "zero_variance"}))
    for c, t in references.MEANS[:5] + references.MEANS[7:8]:
        for low, high, alpha in [(-0.5, 0.5, 0.05), (0.0, 1.0, 0.01)]:
            lower = welch_exact(c, t, alpha, "greater", low)
            upper = welch_exact(c, t, alpha, "less", high)
            plain = [welch_exact(c, t, alpha, side)["ci"] for side in ("greater", "less")]
            p = max(lower["p_value"], upper["p_value"])
            expect = {"effect": lower["effect"], "se": lower["se"], "df": lower["df"], "p_value_low": lower["p_value"], "p_value_high": upper["p_value"], "p_value": p, "ci": [plain[0][0], plain[1][1]], "equivalent": p < alpha}
            cases.append(case({"method": "equivalence", "control": c, "treatment": t, "low": low, "high": high, "alpha": alpha}, expect))
    x, y = rng.normal(0, 1, 50), rng.normal(0.1, 1, 60)
    summary = lambda v: {"n": len(v), "mean": float(v.mean()), "variance": float(v.var(ddof=1))}
    p = weightstats.CompareMeans(weightstats.DescrStatsW(y), weightstats.DescrStatsW(x)).ttost_ind(-0.5, 0.5, usevar="unequal")[0]
    cases.append(case({"method": "equivalence", "control": summary(x), "treatment": summary(y), "low": -0.5, "high": 0.5}, {"p_value": float(p)}))
    write("ranks", "scipy mannwhitneyu; Welch's formulas in 50 digits (mpmath), statsmodels ttost_ind", cases)


# Families of tests.


def combination():
    cases = []
    families = [[0.01, 0.2, 0.3], [0.5], [1e-300, 1e-200], [1.0, 1.0], [0.9, 0.99, 0.7, 0.8], [1e-5] * 30, [0.04] * 12, [0.999, 1e-12], [1e-310, 0.5]]
    for family in families:
        statistic = -2 * sum(mp.log(mp.mpf(p)) for p in family)
        tail = mp.gammainc(len(family), statistic / 2, mp.inf, regularized=True)
        cases.append(case({"method": "combine_p_values", "p_values": family, "combination": "fisher"}, {"statistic": abs(out(statistic)), "p_value": out(tail)}))
        if 1.0 not in family and min(family) > 1e-307:
            z = [mp.findroot(lambda z: mp.log(mp.erfc(z / mp.sqrt(2)) / 2) - mp.log(mp.mpf(p)), stats.norm.isf(p)) for p in family]
            weights = [float(i + 1) for i in range(len(family))]
            for w in (None, weights):
                own = [mp.mpf(v) for v in (w or [1.0] * len(family))]
                statistic = sum(a * b for a, b in zip(own, z)) / mp.sqrt(sum(a * a for a in own))
                request = {"method": "combine_p_values", "p_values": family, "combination": "stouffer"} | ({"weights": w} if w else {})
                p = mp.erfc(statistic / mp.sqrt(2)) / 2
                if p > 1e-300:
                    cases.append(case(request, {"statistic": out(statistic), "p_value": out(p)}))
                if max(family) < 0.99 and min(family) > 1e-100:
                    theirs = stats.combine_pvalues(family, "stouffer", weights=w)
                    assert abs(theirs.pvalue / float(p) - 1) < 1e-8
    cases.append(case({"method": "combine_p_values", "p_values": [0.01, None, 0.2, 0.3], "combination": "fisher"}, cases[0]["expect"]))
    cases.append(case({"method": "combine_p_values", "p_values": [0.0, 0.5], "combination": "fisher"}, {"statistic": "Infinity", "p_value": 0.0}))
    cases.append(case({"method": "combine_p_values", "p_values": [0.0, 0.5], "combination": "stouffer"}, {"statistic": "Infinity", "p_value": 0.0}))
    cases.append(case({"method": "combine_p_values", "p_values": [1.0, 0.5], "combination": "stouffer"}, {"statistic": "-Infinity", "p_value": 1.0}))
    cases.append(case({"method": "combine_p_values", "p_values": [0.0, 1.0], "combination": "stouffer"}, {"statistic": None, "p_value": None, "status": "not_finite"}))
    cases.append(case({"method": "combine_p_values", "p_values": [], "combination": "fisher"}, {"statistic": None, "p_value": None, "status": "too_few_units"}))
    for e_values, alpha, rejected in [
        ([100.0, 30.0, 1.0, 0.5], 0.05, [True, False, False, False]),
        ([100.0, 40.0, 1.0, 0.5], 0.05, [True, True, False, False]),
        ([40.0, 100.0, None, 1.0, 0.5], 0.05, [True, True, None, False, False]),
        ([10.0, 19.0, 20.0], 0.05, [False, False, False]),
        ([20.0], 0.05, [True]), ([0.0, 0.0], 0.05, [False, False]), ([], 0.05, []),
        ([60.0, 30.0, 20.0], 0.05, [True, True, True]), (["Infinity", 1.0], 0.01, [True, False]),
    ]:
        values = [math.inf if e == "Infinity" else e for e in e_values]
        known = sorted((e for e in values if e is not None), reverse=True)
        k = max((i + 1 for i, e in enumerate(known) if e * alpha * (i + 1) >= len(known) * (1 - 1e-12)), default=0)
        expected = [None if e is None else k > 0 and e >= known[k - 1] for e in values]
        assert expected == rejected, (e_values, expected, rejected)
        cases.append(case({"method": "e_bh", "e_values": e_values, "alpha": alpha}, {"rejected": rejected}))
    bh1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    for p_values, alpha, selected in [(bh1995, 0.05, 4), (bh1995, 0.1, 9), ([0.5, 0.9], 0.05, 0), ([None, 0.01, None], 0.05, 1)]:
        m = sum(p is not None for p in p_values)
        cases.append(case({"method": "fcr_level", "p_values": p_values, "alpha": alpha}, {"selected": selected, "marginal_level": 1 - selected * alpha / m}))
    cases.append(case({"method": "fcr_level", "p_values": []}, {"selected": 0, "marginal_level": None}))
    write("combination", "chi-squared and normal tails in 50 digits (mpmath), scipy combine_pvalues; e-BH and FCR by their definitions; Benjamini & Hochberg (1995), table 1", cases)


def srm_breakdown():
    cases = []
    weights = [0.5, 0.3, 0.2]
    segments = [[500, 300, 200], [5200, 2900, 1900], [0, 0, 0], [10, 2, 1]]
    tests = []
    for counts in segments:
        n = sum(counts)
        tests.append(stats.chisquare(counts, [n * w for w in weights]) if n else None)
    known = [t.pvalue for t in tests if t]
    from statsmodels.stats.multitest import multipletests
    adjusted = iter(multipletests(known, method="holm")[1])
    each = [{"statistic": float(t.statistic), "p_value": float(t.pvalue), "p_value_adjusted": float(next(adjusted))} if t else {"statistic": None, "p_value": None, "p_value_adjusted": None} for t in tests]
    cases.append(case({"method": "srm_segments", "segments": segments, "weights": weights}, {"segments": each}))
    for phases in [
        [([900, 100], [9.0, 1.0]), ([5000, 5100], [1.0, 1.0])],
        [([900, 60, 40], [0.9, 0.05, 0.05]), ([3300, 3350, 3350], [1, 1, 1]), ([100, 200, 750], [0.1, 0.2, 0.7])],
        [([50, 50], [1.0, 1.0])],
        [([50, 0, 50], [1.0, 0.0, 1.0]), ([10, 12, 20], [1.0, 1.0, 2.0])],
    ]:
        k = len(phases[0][0])
        d, V = np.zeros(k), np.zeros((k, k))
        for counts, w in phases:
            w = np.array(w, float) / sum(w)
            n = sum(counts)
            d += np.array(counts) - n * w
            V += n * (np.diag(w) - np.outer(w, w))
        statistic = float(d @ np.linalg.pinv(V) @ d)
        p = float(mp.gammainc(mp.mpf(k - 1) / 2, mp.mpf(statistic) / 2, mp.inf, regularized=True))
        request = {"method": "srm_phases", "phases": [{"counts": c, "weights": w} for c, w in phases]}
        # A statistic of zero is zero within rounding of the inverse.
        cases.append(case(request, {"statistic": statistic if statistic > 1e-12 else 0.0, "df": k - 1, "p_value": p}))
    trespass = {"method": "srm_phases", "phases": [{"counts": [5, 1], "weights": [1.0, 0.0]}]}
    cases.append(case(trespass, {"statistic": "Infinity", "p_value": 0.0, "mismatch": True}))
    days = [[1000, 1010]] * 5 + [[1000, 800]] * 10
    expect = {"onset": 5}
    cases.append(case({"method": "srm_daily", "days": days, "weights": [1.0, 1.0]}, expect))
    cases.append(case({"method": "srm_daily", "days": [[1000, 1010]] * 4, "weights": [1.0, 1.0]}, {"p_values": [1.0] * 4, "detected": None, "onset": None}))
    write("srm_breakdown", "scipy chisquare, statsmodels multipletests, numpy pinv of the joint variance", cases)


# Planning by the t-test.


def noncentral_power(d, n, ratio, alpha, two_sided):
    df = n * (1 + ratio) - 2
    drift = d * mp.sqrt(n * ratio / (1 + ratio))
    q = t_isf(alpha / 2 if two_sided else alpha, float(df))
    # s^2 = chi^2/df; the density of s, integrated around 1.
    half = df / 2
    log_norm = half * mp.log(half) - mp.loggamma(half) + mp.log(2)
    density = lambda s: mp.exp(log_norm + (df - 1) * mp.log(s) - half * s * s)
    phi = lambda z: mp.erfc(-z / mp.sqrt(2)) / 2
    tail = lambda s: phi(drift - q * s) + (phi(-drift - q * s) if two_sided else 0)
    sd = 1 / mp.sqrt(2 * df)
    points = [mp.mpf(0)] + [p for p in (1 - 12 * sd, 1 - 4 * sd, mp.mpf(1), 1 + 4 * sd, 1 + 12 * sd, 1 + 40 * sd) if p > 0]
    return mp.quad(lambda s: density(s) * tail(s), points)


def power_t():
    cases = []
    mp.mp.dps = 25
    for mde, sd, ratio, alpha, target, two_sided in [
        (0.5, 1.0, 1.0, 0.05, 0.8, True), (0.1, 1.0, 1.0, 0.05, 0.8, True), (1.5, 1.0, 1.0, 0.05, 0.9, True), (3.0, 1.0, 1.0, 0.01, 0.8, True),
        (0.5, 2.0, 0.25, 0.01, 0.9, True), (-0.3, 1.5, 9.0, 0.1, 0.5, True), (0.5, 1.0, 1.0, 0.05, 0.8, False), (0.02, 1.0, 1.0, 0.05, 0.8, True), (0.8, 1.0, 2.0, 0.05, 0.95, False),
    ]:
        d = mp.mpf(abs(mde)) / mp.mpf(sd)
        theirs = power.TTestIndPower().solve_power(float(d), alpha=alpha, power=target, ratio=ratio, alternative="two-sided" if two_sided else "larger")
        theirs = float(np.atleast_1d(theirs)[0])
        n = mp.findroot(lambda n: noncentral_power(d, n, mp.mpf(ratio), alpha, two_sided) - mp.mpf(target), (theirs, theirs * (1 + 1e-6)), solver="secant", tol=1e-18)
        assert abs(theirs / float(n) - 1) < 1e-5, (theirs, n)
        request = {"method": "sample_size_mean", "mde": mde, "sd": sd, "ratio": ratio, "alpha": alpha, "power": target, "distribution": "t", "alternative": "two-sided" if two_sided else "greater"}
        cases.append(case(request, {"n_control": float(n)}))
    mp.mp.dps = 50
    write("power_t", "power of Student's t-test integrated over the standard deviation and solved (mpmath); statsmodels TTestIndPower", cases)


if __name__ == "__main__":
    parts = (incomplete_beta, exact_tests, cuped, quantile_ranks, cluster, switchback, segments, winsorise, ranks, combination, srm_breakdown, power_t)
    for part in parts:
        if len(sys.argv) == 1 or part.__name__ in sys.argv[1:]:
            part()
