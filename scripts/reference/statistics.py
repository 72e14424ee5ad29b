#!/usr/bin/env python3
"""Writes analysis/tests/golden/*.json: what independent implementations answer.

Needs scipy 1.17, numpy, statsmodels 0.15 and mpmath (from PyPI). Each case is a request of
`sortition stats` with the result that is expected of it; every file names its origin. Run from the
repository root, with the names of some parts or none for all (about four minutes):

    python3 scripts/reference/statistics.py [welch proportions ...]

References are scipy and statsmodels where they are accurate, and mpmath (50 digits) where they are
not: far tails, huge degrees of freedom, score intervals on small tables.
"""

import json
import math
import platform
import sys
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import numpy as np
import scipy
import statsmodels
from scipy import special, stats
from statsmodels.stats import multitest, power, proportion

mp.mp.dps = 50
FOLDER = Path("analysis/tests/golden")
VERSIONS = (
    f"python {platform.python_version()}, scipy {scipy.__version__}, numpy {np.__version__}, "
    f"statsmodels {statsmodels.__version__}, mpmath {mp.__version__}"
)


def write(name, reference, cases):
    document = {
        "origin": {
            "written_by": "scripts/reference/statistics.py",
            "reference": reference,
            "versions": VERSIONS,
        },
        "cases": cases,
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    (FOLDER / f"{name}.json").write_text(text + "\n")
    print(f"{name}: {len(cases)} cases")


def out(value):
    """A number as the answers spell it."""
    value = float(value)
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


# Distributions: arguments and results are in exact agreement with mpmath to the last digits.


def t_two_sided(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    if df > 1e7:
        # betainc is slow there; the density integrates as well as anything.
        norm = mp.exp(mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2)) / mp.sqrt(df * mp.pi)
        density = lambda u: mp.exp(-(df + 1) / 2 * mp.log1p(u * u / df))
        t = abs(t)
        steps = [t + k / max(t, 1) for k in (0, 1, 2, 4, 8, 16, 32, 64, 128)]
        return 2 * norm * mp.quad(density, steps)
    return mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True)


def t_isf(p, df):
    start = stats.norm.isf(p) if df > 1e6 else stats.t.isf(p, df)
    tail = lambda t: mp.log(t_two_sided(t, df) / 2) - mp.log(mp.mpf(p))
    return mp.findroot(tail, (start, start * (1 + 1e-6)), solver="secant", tol=1e-40, maxsteps=60)


def student_t():
    cases = []
    for df in [0.5, 1, 1.7, 2, 3, 4.5, 9, 17.78, 30, 99, 99.5, 100, 101.3, 250, 999, 1000, 1e4, 1e5, 1e6, 3.3e7, 1e8, 1e10, 1e12]:
        for t in [1e-8, 0.01, 0.3, 0.9, 1.4, 1.96, 2.5, 4, 7, 12, 20, 31, 36.5]:
            p = t_two_sided(t, df)
            if p > 1e-300:
                cases.append({"df": df, "t": t, "two_sided": float(p)})
        for t in [50, 300, 1e4, 1e8]:
            if df <= 100:
                p = t_two_sided(t, df)
                if p > 1e-300:
                    cases.append({"df": df, "t": t, "two_sided": float(p)})
        for p in [0.4, 0.1, 0.025, 0.005, 5e-4, 1e-6, 1e-12]:
            cases.append({"df": df, "p": p, "isf": float(t_isf(p, df))})
    write("student_t", "mpmath betainc, quad and findroot", cases)


def normal():
    cases = []
    for z in [0, 1e-10, 0.1, 0.67, 1, 1.96, 2.58, 4, 6, 10, 20, 30, 37]:
        tail = mp.erfc(mp.mpf(z) / mp.sqrt(2)) / 2
        cases.append({"z": z, "sf": float(tail)})
        cases.append({"z": -z, "sf": float(1 - tail)})
    for p in [0.4, 0.1, 0.05, 0.025, 0.005, 1e-6, 1e-20, 1e-100, 1e-300]:
        root = mp.findroot(
            lambda z: mp.log(mp.erfc(z / mp.sqrt(2)) / 2) - mp.log(mp.mpf(p)), stats.norm.isf(p)
        )
        cases.append({"p": p, "isf": float(root)})
    write("normal", "mpmath erfc and findroot", cases)


# Means.


def summary(n, mean, variance):
    return {"n": n, "mean": mean, "variance": variance}


def welch_exact(control, treatment, alpha, alternative, margin=0.0):
    """Welch's test with every step in 50 digits."""
    nc, mc, vc = (mp.mpf(control[k]) for k in ("n", "mean", "variance"))
    nt, mt, vt = (mp.mpf(treatment[k]) for k in ("n", "mean", "variance"))
    a, b = vc / nc, vt / nt
    se = mp.sqrt(a + b)
    df = (a + b) ** 2 / (a**2 / (nc - 1) + b**2 / (nt - 1))
    effect = mt - mc
    t = (effect - mp.mpf(margin)) / se
    two = t_two_sided(t, df) if t != 0 else mp.mpf(1)
    upper = two / 2 if t > 0 else 1 - two / 2
    tail = alpha / 2 if alternative == "two-sided" else alpha
    q = t_isf(tail, float(df))
    lo, hi = effect - q * se, effect + q * se
    p = {"two-sided": two, "greater": upper, "less": 1 - upper}[alternative]
    if alternative == "less" and t < 0:
        p = two / 2
    return {
        "effect": out(effect),
        "se": out(se),
        "df": out(df),
        "statistic": out(t),
        "p_value": out(p),
        "ci": ["-Infinity" if alternative == "less" else out(lo), "Infinity" if alternative == "greater" else out(hi)],
    }


MEANS = [
    (summary(1000, 10.0, 4.0), summary(1000, 10.2, 4.4)),
    (summary(12, 3.5, 2.25), summary(9, 5.0, 0.4)),
    (summary(2, 1.0, 0.5), summary(2, 4.0, 0.01)),
    (summary(2, 1.0, 0.5), summary(5_000_000, 1.1, 3.0)),
    (summary(9000, 0.02, 0.0196), summary(1000, 0.03, 0.0291)),
    (summary(8_000_000, 10.0, 400.0), summary(8_000_000, 10.03, 410.0)),
    (summary(100_000_000, 5.0, 9.0), summary(100_000_000, 5.0005, 9.0)),
    (summary(5000, 1.0, 1.0), summary(5000, 1.7, 1.0)),
    (summary(5000, 1e8, 4.0), summary(5000, 1e8 + 0.5, 4.0)),
    (summary(50, -3.0, 2.0), summary(60, -3.4, 0.0)),
    (summary(300, 1e-12, 1e-24), summary(300, 1.2e-12, 2e-24)),
    (summary(300, 0.0, 1.0), summary(300, 0.0, 2.0)),
    (summary(1_000_000, 1.0, 1.0), summary(1_000_000, 1.051, 1.0)),
]


def welch():
    cases = []
    for control, treatment in MEANS:
        for alternative in ["two-sided", "greater", "less"]:
            for alpha in [0.05, 0.001]:
                request = {
                    "method": "welch_t",
                    "control": control,
                    "treatment": treatment,
                    "alpha": alpha,
                    "alternative": alternative,
                }
                cases.append({"request": request, "expect": welch_exact(control, treatment, alpha, alternative)})
    # scipy itself, where it is accurate.
    for control, treatment in MEANS[:5]:
        answer = stats.ttest_ind_from_stats(
            control["mean"], math.sqrt(control["variance"]), control["n"],
            treatment["mean"], math.sqrt(treatment["variance"]), treatment["n"], equal_var=False,
        )
        request = {"method": "welch_t", "control": control, "treatment": treatment}
        cases.append({"request": request, "expect": {"statistic": -answer.statistic, "p_value": answer.pvalue}})
    # No test is possible.
    undefined = {"statistic": None, "df": None, "p_value": None, "ci": None}
    flat = {"method": "welch_t", "control": summary(10, 1.0, 0.0), "treatment": summary(10, 2.0, 0.0)}
    single = {"method": "welch_t", "control": {"n": 1, "mean": 1.0}, "treatment": summary(10, 2.0, 1.0)}
    cases.append({"request": flat, "expect": {"effect": 1.0, "se": 0.0, "status": "zero_variance"} | undefined})
    cases.append({"request": single, "expect": {"effect": 1.0, "se": None, "status": "too_few_units"} | undefined})
    # From the values themselves.
    rng = np.random.default_rng(20260101)
    samples = [
        ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]),
        (np.round(rng.normal(1e9, 1, 40), 3).tolist(), np.round(rng.normal(1e9 + 1, 2, 30), 3).tolist()),
        (np.round(rng.lognormal(1, 2, 60), 4).tolist(), np.round(rng.lognormal(1.3, 2, 45), 4).tolist()),
        ([0.0] * 30 + [5.0, 7.0], [0.0] * 25 + [1.0, 2.0, 100.0]),
    ]
    for values_c, values_t in samples:
        arms = []
        for values in (values_c, values_t):
            exact = [Fraction(v) for v in values]
            mean = sum(exact) / len(exact)
            variance = sum((v - mean) ** 2 for v in exact) / (len(exact) - 1)
            rational = lambda f: mp.mpf(f.numerator) / f.denominator
            arms.append({"n": len(exact), "mean": rational(mean), "variance": rational(variance)})
        expect = welch_exact(*arms, 0.05, "two-sided")
        expect |= {
            "control_mean": float(arms[0]["mean"]), "treatment_mean": float(arms[1]["mean"]),
            "control_variance": float(arms[0]["variance"]), "treatment_variance": float(arms[1]["variance"]),
        }
        request = {"method": "welch_t_raw", "control": {"values": values_c}, "treatment": {"values": values_t}}
        cases.append({"request": request, "expect": expect})
    for control, treatment in MEANS[:4]:
        for margin, alternative in [(-0.2, "greater"), (0.4, "less")]:
            request = {
                "method": "non_inferiority", "control": control, "treatment": treatment,
                "margin": margin, "alternative": alternative, "alpha": 0.05,
            }
            expect = welch_exact(control, treatment, 0.05, alternative, margin)
            cases.append({"request": request, "expect": {k: expect[k] for k in ("effect", "se", "df", "statistic", "p_value")}})
    write("welch", "Welch's formulas in 50 digits (mpmath), scipy ttest_ind_from_stats, exact rational moments", cases)


def moments():
    rng = np.random.default_rng(20260102)
    cases = []
    for offset in [0, 1e3, 1e6, 1e9, -1e9]:
        x = np.round(rng.normal(0, 1, 60), 3) + offset
        y = np.round(0.5 * (x - offset) + rng.normal(0, 1, 60), 3) + offset / 7
        cuts = [0, 1, 8, 8, 30, 60]
        chunks = [x[a:b].tolist() for a, b in zip(cuts, cuts[1:])]
        chunks_y = [y[a:b].tolist() for a, b in zip(cuts, cuts[1:])]
        fx, fy = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()]
        mx, my = sum(fx) / 60, sum(fy) / 60
        expect = {
            "n": 60,
            "mean": float(mx),
            "variance": float(sum((v - mx) ** 2 for v in fx) / 59),
            "mean_y": float(my),
            "variance_y": float(sum((v - my) ** 2 for v in fy) / 59),
            "covariance": float(sum((v - mx) * (w - my) for v, w in zip(fx, fy)) / 59),
        }
        request = {"method": "moments_merge", "chunks": chunks}
        cases.append({"request": request, "expect": {k: expect[k] for k in ("n", "mean", "variance")}})
        cases.append({"request": request | {"chunks_y": chunks_y}, "expect": expect})
    cases.append({"request": {"method": "moments_merge", "chunks": [[], []]}, "expect": {"n": 0, "mean": None, "variance": None}})
    cases.append({"request": {"method": "moments_merge", "chunks": [[], [3.5]]}, "expect": {"n": 1, "mean": 3.5, "variance": None}})
    write("moments", "exact rational arithmetic (fractions)", cases)


def fieller_exact(control, treatment, q):
    nc, mc, vc = (mp.mpf(control[k]) for k in ("n", "mean", "variance"))
    nt, mt, vt = (mp.mpf(treatment[k]) for k in ("n", "mean", "variance"))
    a, b = vc / nc, vt / nt
    A, B, C = mc**2 - q * q * a, -2 * mc * mt, mt**2 - q * q * b
    if A <= 0:
        return None
    root = mp.sqrt(B * B - 4 * A * C)
    ratios = sorted([(-B - root) / (2 * A), (-B + root) / (2 * A)])
    if mc > 0:
        return [out(r - 1) for r in ratios]
    return [out(1 - ratios[1]), out(1 - ratios[0])]


def lift():
    cases = []
    extra = [
        (summary(1000, 0.05, 4.0), summary(1000, 0.3, 4.4)),  # control indistinguishable from 0
        (summary(200, -5.0, 9.0), summary(250, -4.0, 9.0)),
        (summary(200, -5.0, 9.0), summary(250, 4.0, 9.0)),
        (summary(200, 5.0, 9.0), summary(250, -4.0, 9.0)),
        (summary(200, 5.0, 9.0), summary(250, 15.0, 90.0)),
    ]
    for control, treatment in MEANS[:7] + MEANS[8:10] + extra:
        for alpha in [0.05, 0.01]:
            exact = welch_exact(control, treatment, alpha, "two-sided")
            for critical in ["t", "normal"]:
                q = t_isf(alpha / 2, exact["df"]) if critical == "t" else mp.mpf(stats.norm.isf(alpha / 2))
                request = {"method": "relative_lift", "control": control, "treatment": treatment, "alpha": alpha, "critical": critical}
                mc, mt = mp.mpf(control["mean"]), mp.mpf(treatment["mean"])
                a, b = mp.mpf(control["variance"]) / control["n"], mp.mpf(treatment["variance"]) / treatment["n"]
                point = (mt - mc) / abs(mc)
                ci = fieller_exact(control, treatment, q)
                expect = {"lift": out(point), "ci": ci}
                if ci is None:
                    expect["status"] = "unbounded"
                cases.append({"request": request | {"interval": "fieller"}, "expect": expect})
                se = mp.sqrt(b / mc**2 + mt**2 * a / mc**4)
                z = point / se
                p = t_two_sided(z, exact["df"]) if critical == "t" else mp.erfc(abs(z) / mp.sqrt(2))
                expect = {"lift": out(point), "se": out(se), "ci": [out(point - q * se), out(point + q * se)], "p_value_relative": out(p)}
                cases.append({"request": request | {"interval": "delta"}, "expect": expect})
                if mt / mc > 0:
                    la, lb = a / mc**2, b / mt**2
                    df = (la + lb) ** 2 / (la**2 / (control["n"] - 1) + lb**2 / (treatment["n"] - 1))
                    ql = t_isf(alpha / 2, float(df)) if critical == "t" else q
                    half = mp.exp(ql * mp.sqrt(la + lb))
                    expect = {"lift": out(point), "ci": [out(mt / mc / half - 1), out(mt / mc * half - 1)]}
                    cases.append({"request": request | {"interval": "log_delta"}, "expect": expect})
    zero = {"method": "relative_lift", "control": summary(10, 0.0, 1.0), "treatment": summary(10, 1.0, 1.0)}
    cases.append({"request": zero | {"interval": "delta"}, "expect": {"lift": None, "ci": None, "status": "zero_denominator"}})
    cases.append({"request": zero | {"interval": "fieller"}, "expect": {"lift": None, "ci": None, "status": "unbounded"}})
    write("lift", "Fieller's quadratic and the delta method in 50 digits (mpmath)", cases)


def ratio():
    rng = np.random.default_rng(20260103)
    cases = []
    for n_c, n_t in [(40, 35), (500, 60)]:
        arms = []
        for n in (n_c, n_t):
            d = rng.poisson(3, n) + 1
            y = np.round(rng.gamma(2, 1, n) * d, 3)
            arms.append((y, d))
        parts = []
        for y, d in arms:
            y, d = [Fraction(v) for v in y.tolist()], [Fraction(int(v)) for v in d]
            n = len(y)
            my, md = sum(y) / n, sum(d) / n
            vy = sum((v - my) ** 2 for v in y) / (n - 1)
            vd = sum((v - md) ** 2 for v in d) / (n - 1)
            cov = sum((v - my) * (w - md) for v, w in zip(y, d)) / (n - 1)
            r = my / md
            v = (vy - 2 * r * cov + r * r * vd) / md**2
            as_mp = lambda f: mp.mpf(f.numerator) / f.denominator
            parts.append({
                "summary": {"n": n, "num_mean": float(my), "den_mean": float(md), "num_variance": float(vy), "den_variance": float(vd), "covariance": float(cov)},
                "linear": {"n": n, "mean": as_mp(r), "variance": as_mp(v)},
            })
        for alternative in ["two-sided", "greater"]:
            expect = welch_exact(parts[0]["linear"], parts[1]["linear"], 0.05, alternative)
            expect["lift"] = out((parts[1]["linear"]["mean"] - parts[0]["linear"]["mean"]) / abs(parts[0]["linear"]["mean"]))
            raw = {"method": "ratio_delta_raw", "alternative": alternative}
            for name, (y, d) in zip(("control", "treatment"), arms):
                raw[name] = {"numerator": y.tolist(), "denominator": [int(v) for v in d]}
            cases.append({"request": raw, "expect": expect})
            request = {"method": "ratio_delta", "control": parts[0]["summary"], "treatment": parts[1]["summary"], "alternative": alternative}
            cases.append({"request": request, "expect": expect})
    zero = {"numerator": [1.0, 2.0], "denominator": [0, 0]}
    other = {"numerator": [1.0, 2.0], "denominator": [1, 2]}
    cases.append({"request": {"method": "ratio_delta_raw", "control": zero, "treatment": other}, "expect": {"effect": None, "p_value": None, "status": "zero_denominator"}})
    write("ratio", "exact rational moments, the delta method in 50 digits (mpmath)", cases)


# Proportions.


def arm(n, successes):
    return {"n": n, "successes": successes}


def mle_difference(xc, nc, xt, nt, delta):
    """The control's constrained share, by bisection of the likelihood's slope."""
    lo, hi = max(mp.mpf(0), -delta), min(mp.mpf(1), 1 - delta)
    part = lambda x, p: mp.mpf(0) if x == 0 else (x / p if p != 0 else mp.inf)
    slope = lambda p: part(xc, p) - part(nc - xc, 1 - p) + part(xt, p + delta) - part(nt - xt, 1 - p - delta)
    for _ in range(170):
        mid = (lo + hi) / 2
        if slope(mid) > 0:
            lo = mid
        else:
            hi = mid
    return (lo + hi) / 2


def mee(c, t, q):
    nc, xc, nt, xt = (mp.mpf(v) for v in (c["n"], c["successes"], t["n"], t["successes"]))
    d = xt / nt - xc / nc

    def outside(delta):
        p = mle_difference(xc, nc, xt, nt, delta)
        pt = p + delta
        return (d - delta) ** 2 - q * q * (p * (1 - p) / nc + pt * (1 - pt) / nt)

    def bound(inside, end):
        if d == end:
            return end
        lo, hi = mp.mpf(inside), mp.mpf(end)
        for _ in range(120):
            mid = (lo + hi) / 2
            if outside(mid) < 0:
                lo = mid
            else:
                hi = mid
        return (lo + hi) / 2

    tiny = mp.mpf(10) ** -30
    return [out(bound(d - tiny, -1)), out(bound(d + tiny, 1))]


def koopman(c, t, q):
    """Bounds of the lift; the constrained share by bisection of the likelihood's slope in p_t."""
    nc, xc, nt, xt = (mp.mpf(v) for v in (c["n"], c["successes"], t["n"], t["successes"]))

    def outside(log_ratio):
        ratio = mp.exp(log_ratio)
        lo, hi = mp.mpf(0), min(mp.mpf(1), 1 / ratio)
        part = lambda x, p: mp.mpf(0) if x == 0 else x / p
        for _ in range(170):
            p = (lo + hi) / 2
            slope = part(xc, p) - part(nc - xc, 1 - p) + part(xt, p) - part(nt - xt, 1 - ratio * p) * ratio
            lo, hi = (p, hi) if slope > 0 else (lo, p)
        p = (lo + hi) / 2
        pt = ratio * p
        return (xt / nt - ratio * xc / nc) ** 2 - q * q * (pt * (1 - pt) / nt + ratio**2 * p * (1 - p) / nc)

    def bound(start, direction):
        inside, far = start, start + direction * mp.mpf("0.01")
        while outside(far) < 0:
            far = start + 2 * (far - start)
        for _ in range(120):
            mid = (inside + far) / 2
            inside, far = (mid, far) if outside(mid) < 0 else (inside, mid)
        return mp.expm1((inside + far) / 2)

    if xc == 0 and xt == 0:
        return None
    if xc == 0:
        return [out(bound(mp.log(xt / nt) + 60, -1)), "Infinity"]
    if xt == 0:
        return [-1.0, out(bound(mp.log(nc / xc / nt) - 60, 1))]
    start = mp.log(xt / nt * nc / xc)
    tiny = mp.mpf(10) ** -30
    return [out(bound(start - tiny, -1)), out(bound(start + tiny, 1))]


SHARES = [
    (arm(1000, 100), arm(1000, 130)),
    (arm(1000, 7), arm(1000, 15)),
    (arm(1000, 15), arm(1000, 7)),
    (arm(9000, 180), arm(1000, 50)),
    (arm(10_000, 50), arm(10_000, 0)),
    (arm(10_000, 0), arm(10_000, 50)),
    (arm(20, 0), arm(20, 3)),
    (arm(20, 20), arm(25, 21)),
    (arm(10, 10), arm(10, 0)),
    (arm(1, 0), arm(1, 1)),
    (arm(10, 0), arm(20, 0)),
    (arm(10, 10), arm(20, 20)),
    (arm(56, 56), arm(48, 29)),
    (arm(98, 9), arm(100, 3)),
    (arm(1_000_000, 20), arm(1_000_000, 60)),
    (arm(1_000_000_000, 1000), arm(900_000_000, 1200)),
    (arm(5_000_000, 500_000), arm(5_000_000, 510_000)),
    (arm(11_037, 104), arm(11_034, 189)),  # Physicians' Health Study: aspirin, placebo
]


def proportions():
    cases = []
    for c, t in SHARES:
        for alpha in [0.05, 0.01]:
            q = stats.norm.isf(alpha / 2)
            nc, xc, nt, xt = (mp.mpf(v) for v in (c["n"], c["successes"], t["n"], t["successes"]))
            pc, pt = xc / nc, xt / nt
            pooled = (xc + xt) / (nc + nt)
            se0 = mp.sqrt(pooled * (1 - pooled) * (1 / nc + 1 / nt))
            se1 = mp.sqrt(pc * (1 - pc) / nc + pt * (1 - pt) / nt)
            expect = {
                "effect": out(pt - pc), "se_pooled": out(se0), "se_unpooled": out(se1),
                "ci": [out(pt - pc - q * se1), out(pt - pc + q * se1)],
                "ci_score": mee(c, t, mp.mpf(q)), "lift_ci_score": koopman(c, t, mp.mpf(q)),
                "lift": None if xc == 0 else out((pt - pc) / pc),
            }
            if se0 == 0:
                expect |= {"statistic": None, "p_value": None, "status": "zero_variance"}
            else:
                z = (pt - pc) / se0
                expect |= {"statistic": out(z), "p_value": out(mp.erfc(abs(z) / mp.sqrt(2)))}
            request = {"method": "two_proportion_z", "control": c, "treatment": t, "alpha": alpha}
            cases.append({"request": request, "expect": expect})
            if se0 > 0:
                z, p = proportion.proportions_ztest([t["successes"], c["successes"]], [t["n"], c["n"]])
                one = proportion.proportions_ztest([t["successes"], c["successes"]], [t["n"], c["n"]], alternative="larger")
                cases.append({"request": request, "expect": {"statistic": z, "p_value": p}})
                cases.append({"request": request | {"alternative": "greater"}, "expect": {"statistic": z, "p_value": one[1]}})
            for name, method in [("newcombe", "newcomb"), ("agresti-caffo", "agresti-caffo"), ("wald", "wald")]:
                ci = proportion.confint_proportions_2indep(t["successes"], t["n"], c["successes"], c["n"], method=method, compare="diff", alpha=alpha)
                request = {"method": "proportion_diff_ci", "control": c, "treatment": t, "alpha": alpha, "interval": name}
                cases.append({"request": request, "expect": {"ci": [out(b) for b in ci]}})
            request = {"method": "proportion_diff_ci", "control": c, "treatment": t, "alpha": alpha, "interval": "score"}
            cases.append({"request": request, "expect": {"ci": expect["ci_score"]}})
            for name, method in [("wilson", "wilson"), ("agresti-coull", "agresti_coull")]:
                ci = proportion.proportion_confint(t["successes"], t["n"], alpha, method)
                request = {"method": "proportion_ci", "alpha": alpha, "interval": name} | t
                cases.append({"request": request, "expect": {"ci": [out(b) for b in ci]}})
    # Newcombe (1998), table II: 56/70 against 48/80 and seven more, to the four digits printed.
    published = [
        ((56, 70), (48, 80), [0.0524, 0.3339]), ((9, 10), (3, 10), [0.1705, 0.8090]),
        ((6, 7), (2, 7), [0.0582, 0.8062]), ((5, 56), (0, 29), [-0.0381, 0.1926]),
        ((0, 10), (0, 20), [-0.1611, 0.2775]), ((0, 10), (0, 10), [-0.2775, 0.2775]),
        ((10, 10), (0, 20), [0.6791, 1.0]), ((10, 10), (0, 10), [0.6075, 1.0]),
    ]
    for (xt, nt), (xc, nc), ci in published:
        request = {"method": "proportion_diff_ci", "control": arm(nc, xc), "treatment": arm(nt, xt), "interval": "newcombe"}
        cases.append({"request": request, "expect": {"ci": ci}, "tolerance": 2e-3})
    write("proportions", "formulas and score intervals in 50 digits (mpmath), statsmodels proportions_ztest, confint_proportions_2indep and proportion_confint, Newcombe (1998) table II (method 10, as printed)", cases)


def chi_squared():
    cases = []
    tables = [
        [[100, 900], [130, 870]], [[762, 327, 468], [484, 239, 477]], [[0, 10], [5, 5]],
        [[10, 20, 30, 5], [6, 9, 17, 2], [1, 1, 1, 40]], [[3, 1], [1, 3]], [[1_000_000, 2], [1_000_000, 90]],
        [[5000, 5000], [6100, 3900]],
    ]
    for table in tables:
        for correction in [False, True]:
            answer = stats.chi2_contingency(table, correction=correction)
            v = math.sqrt(answer.statistic / (np.sum(table) * (min(np.shape(table)) - 1)))
            request = {"method": "chi_squared", "table": table, "correction": correction}
            expect = {"statistic": answer.statistic, "df": answer.dof, "p_value": answer.pvalue, "min_expected": float(answer.expected_freq.min()), "cramers_v": v}
            cases.append({"request": request, "expect": expect})
    sparse = stats.chi2_contingency([[5, 7], [9, 2]], correction=False)
    cases.append({"request": {"method": "chi_squared", "table": [[5, 0, 7], [0, 0, 0], [9, 0, 2]]}, "expect": {"statistic": sparse.statistic, "df": 1, "p_value": sparse.pvalue}})
    cases.append({"request": {"method": "chi_squared", "table": [[5, 0], [7, 0]]}, "expect": {"statistic": None, "p_value": None, "status": "degenerate"}})
    write("chi_squared", "scipy chi2_contingency", cases)


# Counts.


def srm():
    cases = []
    table = [
        ([5000, 5000], [0.5, 0.5]), ([5100, 4900], [50, 50]), ([821_588, 815_482], [0.5, 0.5]),
        ([1012, 498, 510], [50, 25, 25]), ([9010, 990], [0.9, 0.1]), ([3, 0], [0.5, 0.5]),
        ([1_000_000_000, 1_000_100_000], [0.5, 0.5]), ([100_000, 101_000, 99_000, 100_500], [1, 1, 1, 1]),
        ([60_000, 50_000], [0.5, 0.5]), ([10, 20, 0], [0.3, 0.7, 0.0]), ([999_000, 1000], [0.9989, 0.0011]),
        ([7], [1.0]), ([31_000_000, 31_005_000, 124_000_000], [1, 1, 4]),
    ]
    for counts, weights in table:
        used = [(x, mp.mpf(w)) for x, w in zip(counts, weights) if w > 0]
        n, total = sum(x for x, _ in used), sum(w for _, w in used)
        chi2 = sum((x - n * w / total) ** 2 / (n * w / total) for x, w in used)
        df = len(used) - 1
        p = mp.gammainc(mp.mpf(df) / 2, chi2 / 2, mp.inf, regularized=True) if df > 0 else mp.mpf(1)
        expect = {"statistic": out(chi2), "df": df, "p_value": out(p), "mismatch": bool(p < 0.01)}
        cases.append({"request": {"method": "srm", "counts": counts, "weights": weights, "threshold": 0.01}, "expect": expect})
        for k in [100.0, 20.0, 1.0]:
            a0 = [k * w / total for _, w in used]
            beta = lambda a: sum(mp.loggamma(v) for v in a) - mp.loggamma(sum(a))
            log_bf = beta([a + x for a, (x, _) in zip(a0, used)]) - beta(a0) - sum(x * mp.log(w / total) for x, w in used)
            expect = {"log_bayes_factor": out(log_bf), "p_value": out(min(mp.mpf(1), mp.exp(-log_bf)))}
            cases.append({"request": {"method": "srm_sequential", "counts": counts, "weights": weights, "concentration": k}, "expect": expect})
            if len(counts) == 2 and n < 2_000_000:
                request = {"method": "conversion_sequential", "control": {"successes": counts[0]}, "treatment": {"successes": counts[1]}, "weights": weights, "concentration": k}
                cases.append({"request": request, "expect": expect})
    empty = {"method": "srm_sequential", "counts": [0, 0], "weights": [0.5, 0.5]}
    cases.append({"request": empty, "expect": {"log_bayes_factor": 0.0, "p_value": 1.0}})
    cases.append({"request": {"method": "srm", "counts": [0, 0], "weights": [0.5, 0.5]}, "expect": {"statistic": None, "p_value": None, "status": "too_few_units"}})
    trespass = {"counts": [10, 20, 1], "weights": [0.5, 0.5, 0.0]}
    cases.append({"request": {"method": "srm"} | trespass, "expect": {"statistic": "Infinity", "p_value": 0.0, "mismatch": True}})
    cases.append({"request": {"method": "srm_sequential"} | trespass, "expect": {"log_bayes_factor": "Infinity", "p_value": 0.0}})
    write("srm", "chi-squared by gammainc and Dirichlet-multinomial by loggamma in 50 digits (mpmath); Kohavi's 821,588 against 815,482 has p = 1.8e-6", cases)


def multiplicity():
    rng = np.random.default_rng(20260104)
    bh1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    families = [bh1995, [0.04, 0.01, 0.03, 0.01], [1e-300, 1e-12, 0.5], [0.2], rng.uniform(0, 1, 20).round(6).tolist(), [0.0, 1.0, 1.0]]
    names = {"bonferroni": "bonferroni", "sidak": "sidak", "holm": "holm", "hochberg": "simes-hochberg", "benjamini_hochberg": "fdr_bh", "benjamini_yekutieli": "fdr_by"}
    cases = []
    for family in families:
        for ours, theirs in names.items():
            rejected, adjusted, _, _ = multitest.multipletests(family, 0.05, theirs)
            if ours == "sidak":
                adjusted = [float(-mp.expm1(len(family) * mp.log1p(-mp.mpf(p)))) if p < 1 else 1.0 for p in family]
            request = {"method": "multiple_testing", "p_values": family, "correction": ours, "alpha": 0.05}
            cases.append({"request": request, "expect": {"adjusted": [float(p) for p in adjusted], "rejected": [bool(r) for r in rejected]}})
            holes = {"method": "multiple_testing", "p_values": [None, *family, None], "correction": ours, "alpha": 0.05}
            cases.append({"request": holes, "expect": {"adjusted": [None, *(float(p) for p in adjusted), None], "rejected": [None, *(bool(r) for r in rejected), None]}})
    write("multiplicity", "statsmodels multipletests (Sidak by log1p in mpmath); Benjamini & Hochberg (1995), table 1", cases)


# Quantiles.


def quantile():
    rng = np.random.default_rng(20260105)
    cases = []
    for q, n_units, mean_events, spread in [(0.5, 40, 3, 1.0), (0.9, 150, 4, 0.6), (0.99, 400, 3, 0.8), (0.5, 12, 1, 0.0), (0.25, 300, 1, 0.3)]:
        # Events of one unit share a level, so they are alike.
        units = []
        for _ in range(n_units):
            level = rng.normal(0, spread)
            units.append(np.round(np.exp(level + rng.normal(0, 1, rng.poisson(mean_events) + 1)), 4).tolist())
        flat = np.array([v for unit in units for v in unit])
        n = len(flat)
        value = float(np.quantile(flat, q, method="linear"))
        z = stats.norm.isf(0.025)
        half = z * math.sqrt(n * q * (1 - q))
        ordered = np.sort(flat)
        lower = ordered[max(math.floor(n * q - half), 1) - 1]
        upper = ordered[min(math.ceil(n * q + half), n) - 1]
        below = np.array([sum(v <= value for v in unit) for unit in units], float)
        events = np.array([len(unit) for unit in units], float)
        # gbstats: delta-method variance of the ratio of cluster means.
        covariance = np.cov(below, events, ddof=1)
        ratio = below.mean() / events.mean()
        clustered = (covariance[0, 0] - 2 * ratio * covariance[0, 1] + ratio**2 * covariance[1, 1]) / events.mean() ** 2 / n_units
        inflation = clustered / (q * (1 - q) / n)
        se = (upper - lower) / (2 * z) * math.sqrt(inflation)
        least = z * z * max(q, 1 - q) / min(q, 1 - q)
        enough = n > least and n / inflation > least
        cases.append({"q": q, "units": units, "value": value, "se": float(se) if enough else None})
    write("quantile", "numpy quantile (type 7); order-statistic interval and cluster correction as in gbstats QuantileClusteredStatistic, by numpy", cases)


# Planning.


def planning():
    cases = []
    for mde, sd, ratio_, alpha, target in [(0.1, 1, 1, 0.05, 0.8), (0.02, 1, 1, 0.05, 0.8), (0.5, 2, 0.25, 0.01, 0.9), (-0.3, 1.5, 9, 0.1, 0.5), (0.02, 0.3, 1, 0.05, 0.12)]:
        solver = power.NormalIndPower()
        z = stats.norm.isf(alpha / 2)
        reach = lambda x: mp.ncdf(x - z) + mp.ncdf(-x - z) - target
        drift = mp.findroot(reach, float(z + stats.norm.ppf(target)) + 0.01)
        n = drift**2 * (mp.mpf(sd) ** 2) * (1 + 1 / mp.mpf(ratio_)) / mp.mpf(mde) ** 2
        if target > 0.3:
            theirs = solver.solve_power(abs(mde) / sd, alpha=alpha, power=target, ratio=ratio_)
            assert abs(theirs / float(n) - 1) < 1e-6, (theirs, n)
        request = {"method": "sample_size_mean", "mde": mde, "sd": sd, "ratio": ratio_, "alpha": alpha, "power": target, "distribution": "normal"}
        cases.append({"request": request, "expect": {"n_control": float(n)}})
        one = (stats.norm.isf(alpha) + stats.norm.ppf(target)) ** 2 * sd**2 * (1 + 1 / ratio_) / mde**2
        if target > 0.3:
            cases.append({"request": request | {"alternative": "greater"}, "expect": {"n_control": one}})
    for baseline, mde, alpha, target in [(0.2, 0.05, 0.05, 0.8), (0.1, 0.02, 0.05, 0.8), (0.1, 0.002, 0.05, 0.8), (0.5, -0.1, 0.01, 0.95), (0.001, 0.0002, 0.05, 0.9)]:
        za, zb = stats.norm.isf(alpha / 2), stats.norm.ppf(target)
        p1, p2 = baseline, baseline + mde
        mean = (p1 + p2) / 2
        each = p1 * (1 - p1) + p2 * (1 - p2)
        answers = {
            "pooled": (za * math.sqrt(2 * mean * (1 - mean)) + zb * math.sqrt(each)) ** 2 / mde**2,
            "unpooled": (za + zb) ** 2 * each / mde**2,
            "evan_miller": (za * math.sqrt(2 * p1 * (1 - p1)) + zb * math.sqrt(each)) ** 2 / mde**2,
        }
        # statsmodels' own pooled solution rounds nothing either.
        theirs = proportion.samplesize_proportions_2indep_onetail(mde, p1, target, alpha=alpha) if mde > 0 else None
        assert theirs is None or abs(theirs / answers["pooled"] - 1) < 1e-6, (theirs, answers)
        for formula, n in answers.items():
            request = {"method": "sample_size_proportion", "baseline": baseline, "mde": mde, "alpha": alpha, "power": target, "formula": formula}
            cases.append({"request": request, "expect": {"n_per_arm": n}})
    for effect, nc, nt, vc, vt in [(0.0447, 1000, 1000, 4.0, 4.0), (0.3, 900, 100, 1.0, 2.0), (0.0, 10, 10, 1.0, 1.0), (-5.0, 10, 10, 1.0, 1.0)]:
        se = math.sqrt(vc / nc + vt / nt)
        z = stats.norm.isf(0.025)
        sizes = {"n_control": nc, "n_treatment": nt, "variance_control": vc, "variance_treatment": vt, "alpha": 0.05}
        cases.append({"request": {"method": "power_mean", "effect": effect} | sizes, "expect": {"power": stats.norm.sf(z - effect / se) + stats.norm.cdf(-z - effect / se)}})
        cases.append({"request": {"method": "mde_mean", "power": 0.8} | sizes, "expect": {"mde": (z + stats.norm.ppf(0.8)) * se}})
    cases.append({"request": {"method": "sample_size_rule_16", "variance": 0.0475, "mde": 0.0025}, "expect": {"n_per_arm": 121_600.0}})
    cases.append({"request": {"method": "sample_size_proportion", "baseline": 0.2, "mde": 0.05, "formula": "evan_miller"}, "expect": {"n_per_arm": 1030.2192831104596}})
    cases.append({"request": {"method": "underpowered", "n_per_arm": 1000, "required_n_per_arm": 1030}, "expect": {"underpowered": True}})
    cases.append({"request": {"method": "underpowered", "n_per_arm": 1030, "required_n_per_arm": 1030}, "expect": {"underpowered": False}})
    write("power", "two-sided normal power solved in 50 digits (mpmath), statsmodels NormalIndPower, Fleiss' formula", cases)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts = (normal, student_t, welch, moments, lift, ratio, proportions, chi_squared, srm, multiplicity, quantile, planning)
    for part in parts:
        if len(sys.argv) == 1 or part.__name__ in sys.argv[1:]:
            part()
