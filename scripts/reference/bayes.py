#!/usr/bin/env python3
"""Writes the golden files of posterior laws and of bandits.

Needs scipy 1.17, numpy and mpmath (from PyPI). Run from the repository root (about a minute):

    python3 scripts/reference/bayes.py [bayes bandits]

Probabilities of shares are closed sums in 60 digits where the parameters are whole, and adaptive
quadrature where they are not.
"""

import sys

# A script beside this one has the name of a module of the standard library, which others import.
sys.path.pop(0)

import importlib.util
import math

import mpmath as mp
import numpy as np
import scipy
import scipy.optimize
from scipy import special, stats

spec = importlib.util.spec_from_file_location("sequential", "scripts/reference/sequential.py")
sequential = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sequential)
out, case = sequential.out, sequential.case


def write(name, reference, cases):
    sequential.write(name, reference, cases)
    path = sequential.FOLDER / f"{name}.json"
    path.write_text(path.read_text().replace("reference/sequential.py", "reference/bayes.py"))


def log_beta(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def better(ac, bc, at, bt):
    """P(T > C), Miller's sum, for whole parameters."""
    ac, bc, at, bt = (mp.mpf(x) for x in (ac, bc, at, bt))
    total = mp.mpf(0)
    if at == int(at) and at < 50_000:
        term = mp.exp(log_beta(ac, bc + bt) - mp.log(bt) - log_beta(1, bt) - log_beta(ac, bc))
        for i in range(int(at)):
            total += term
            # The ratio of successive terms of B(ac + i, bc + bt)/((bt + i) B(1 + i, bt)).
            term *= (ac + i) / (ac + bc + bt + i) * (bt + i) / (i + 1)
        return total
    # ∫ f_T F_C on the log-odds.
    norm_t, norm_c = log_beta(at, bt), log_beta(ac, bc)
    f = lambda v: mp.exp(-at * mp.log1p(mp.exp(-v)) - bt * mp.log1p(mp.exp(v)) - norm_t) * mp.betainc(ac, bc, 0, 1 / (1 + mp.exp(-v)), regularized=True)
    centre, width = mp.log(at / bt), mp.sqrt(1 / at + 1 / bt)
    left, right = max(9 * width, 45 / at), max(9 * width, 45 / bt)
    marks = [centre - left * k / 8 for k in range(8, 0, -1)] + [centre + right * k / 8 for k in range(9)]
    return mp.quad(f, marks)


def losses(ac, bc, at, bt):
    mc, mt = mp.mpf(ac) / (ac + bc), mp.mpf(at) / (at + bt)
    # E[(C − T)⁺] = E[C; C > T] − E[T; C > T]
    loss_t = mc * (1 - better(ac + 1, bc, at, bt)) - mt * (1 - better(ac, bc, at + 1, bt))
    loss_c = mt * better(ac, bc, at + 1, bt) - mc * better(ac + 1, bc, at, bt)
    return loss_t, loss_c


def difference_quantile(ac, bc, at, bt, level):
    """Where P(T − C ≤ d) is `level`, by tanh-sinh quadrature, split where a law ends."""
    mc, mt = ac / (ac + bc), at / (at + bt)
    sc = math.sqrt(mc * (1 - mc) / (ac + bc + 1))
    st = math.sqrt(mt * (1 - mt) / (at + bt + 1))

    # Nodes and weights of the tanh-sinh rule on [0, 1], which does not mind singular ends.
    t = np.arange(-3.4, 3.4001, 0.05)
    end = np.pi / 2 * np.sinh(t)
    nodes = 1 / (1 + np.exp(-2 * end))
    weights = 0.05 * np.pi / 2 * np.cosh(t) * 2 * nodes * (1 - nodes)
    log_norm = special.betaln(ac, bc)

    def below(d):
        lo, hi = max(0.0, -d), min(1.0, 1.0 - d)
        if hi <= lo:
            return 1.0 if d > 0 else 0.0
        marks = sorted({lo, hi} | {min(max(m + k * s, lo), hi) for m, s in ((mc, sc), (mt - d, st)) for k in (-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12)})
        total = 0.0
        for a, b in zip(marks, marks[1:]):
            x, y = a + (b - a) * nodes, (1 - b) + (b - a) * (1 - nodes)
            density = np.exp(special.xlogy(ac - 1, x) + special.xlogy(bc - 1, y) - log_norm)
            total += (b - a) * float(np.sum(weights * density * special.betainc(at, bt, np.clip(x + d, 0, 1))))
        # Above 1 − d the treatment's share is surely smaller.
        return total + special.betaincc(ac, bc, hi) if hi < 1 else total

    sd = math.hypot(sc, st)
    lo = max(-1.0 + 1e-15, mt - mc - 14 * sd)
    hi = min(1.0 - 1e-15, mt - mc + 14 * sd)
    return scipy.optimize.brentq(lambda d: below(d) - level, lo, hi, xtol=1e-15, rtol=1e-14)


def beta_case(nc, xc, nt, xt, prior=None, alpha=None, tolerance=1e-9, interval=True):
    request = {"method": "beta_binomial", "control": {"n": nc, "successes": xc}, "treatment": {"n": nt, "successes": xt}}
    a0, b0 = prior or (1, 1)
    if prior:
        request["prior"] = {"alpha": a0, "beta": b0}
    if alpha:
        request["alpha"] = alpha
    ac, bc, at, bt = a0 + xc, b0 + nc - xc, a0 + xt, b0 + nt - xt
    loss_t, loss_c = losses(ac, bc, at, bt)
    expect = {
        "control_posterior": {"alpha": float(ac), "beta": float(bc)},
        "treatment_posterior": {"alpha": float(at), "beta": float(bt)},
        "prob_treatment_better": out(better(ac, bc, at, bt)),
        "expected_loss_treatment": out(loss_t),
        "expected_loss_control": out(loss_c),
        "expected_effect": out(mp.mpf(at) / (at + bt) - mp.mpf(ac) / (ac + bc)),
    }
    if interval:
        level = (alpha or 0.05) / 2
        expect["credible_interval"] = [difference_quantile(ac, bc, at, bt, level), difference_quantile(ac, bc, at, bt, 1 - level)]
    return case(request, expect, tolerance)


def normal_case(c, t, difference, prior, alpha=0.05):
    request = {
        "method": "normal_normal",
        "control": dict(zip(("n", "mean", "variance"), c)),
        "treatment": dict(zip(("n", "mean", "variance"), t)),
        "difference": difference,
        "prior": prior,
        "alpha": alpha,
    }
    (nc, mc, vc), (nt, mt, vt) = (tuple(mp.mpf(x) for x in arm) for arm in (c, t))
    a, b = vc / nc, vt / nt
    d, v = mt - mc, a + b
    if difference == "relative":
        d, v = d / abs(mc), b / mc**2 + mt**2 * a / mc**4
    if prior:
        tau2 = mp.mpf(prior["variance"])
        precision = 1 / v + 1 / tau2
        m, s = (d / v + mp.mpf(prior["mean"]) / tau2) / precision, mp.sqrt(1 / precision)
    else:
        m, s = d, mp.sqrt(v)
    z = m / s
    loss = lambda z: s * (mp.npdf(z) - z * mp.erfc(z / mp.sqrt(2)) / 2)
    q = mp.findroot(lambda x: mp.log(mp.erfc(x / mp.sqrt(2)) / 2) - mp.log(mp.mpf(alpha) / 2), stats.norm.isf(alpha / 2))
    return case(
        request,
        {
            "posterior_mean": out(m),
            "posterior_sd": out(s),
            "prob_treatment_better": out(mp.erfc(-z / mp.sqrt(2)) / 2),
            "credible_interval": [out(m - q * s), out(m + q * s)],
            "expected_loss_treatment": out(loss(z)),
            "expected_loss_control": out(loss(-z)),
        },
    )


def bayes():
    mp.mp.dps = 60
    cases = [
        beta_case(1000, 100, 1000, 130),
        beta_case(1000, 100, 1000, 130, alpha=0.001),
        beta_case(1000, 130, 1000, 100, alpha=0.2),
        beta_case(0, 0, 0, 0),
        beta_case(0, 0, 10, 7),
        beta_case(10, 0, 10, 0),
        beta_case(10, 10, 10, 10, alpha=0.1),
        beta_case(5, 0, 7, 7),
        beta_case(1, 1, 1, 0),
        beta_case(2, 1, 3, 1, prior=(0.5, 0.5)),
        beta_case(40, 3, 60, 8, prior=(0.5, 2.5)),
        beta_case(1000, 10, 1000, 300),
        beta_case(2000, 40, 18000, 420),
        beta_case(100, 1, 200_000, 1800),
        beta_case(1_000_000, 2000, 1_000_000, 2100, interval=False),
        beta_case(20_000, 400, 20_000, 440),
        beta_case(1_000_000, 2100, 9_000_000, 18_000, tolerance=1e-9, interval=False),
    ]
    bad = {"prob_treatment_better": None, "expected_loss_treatment": None, "expected_loss_control": None, "credible_interval": None, "status": "degenerate"}
    cases.append(case({"method": "beta_binomial", "control": {"n": 5, "successes": 0}, "treatment": {"n": 5, "successes": 2}, "prior": {"alpha": 0, "beta": 0}}, bad))
    # Large counts: the log-odds of either law are normal but for a skewness, so that Edgeworth's first
    # term, with exact cumulants, is right to 1e-8.
    mp.mp.dps = 40
    for nc, xc, nt, xt in [(10**9, 10**8, 10**9, 10**8 + 30_000), (10**7, 5 * 10**6, 10**7, 5 * 10**6 - 4000)]:
        laws = [(1 + xc, 1 + nc - xc), (1 + xt, 1 + nt - xt)]
        mt = mp.digamma(laws[1][0]) - mp.digamma(laws[1][1])
        mc = mp.digamma(laws[0][0]) - mp.digamma(laws[0][1])
        k2 = sum(mp.polygamma(1, a) + mp.polygamma(1, b) for a, b in laws)
        k3 = (mp.polygamma(2, laws[1][0]) - mp.polygamma(2, laws[1][1])) - (mp.polygamma(2, laws[0][0]) - mp.polygamma(2, laws[0][1]))
        z = (mt - mc) / mp.sqrt(k2)
        skew = k3 / k2 ** mp.mpf("1.5")
        p = mp.erfc(-z / mp.sqrt(2)) / 2 + mp.npdf(z) * skew / 6 * (z * z - 1)
        request = {"method": "beta_binomial", "control": {"n": nc, "successes": xc}, "treatment": {"n": nt, "successes": xt}}
        cases.append(case(request, {"prob_treatment_better": out(p)}, 3e-8))
    mp.mp.dps = 50
    flat = (1000, 10.0, 4.0), (1000, 10.2, 4.4)
    for difference in ["absolute", "relative"]:
        for prior in [None, {"mean": 0.0, "variance": 0.09}, {"mean": 0.05, "variance": 1e-6}, {"mean": -3.0, "variance": 1e12}]:
            cases.append(normal_case(*flat, difference, prior))
            cases.append(normal_case(*reversed(flat), difference, prior, 0.01))
    cases.append(normal_case((50, -2.0, 9.0), (80, -1.0, 0.0), "relative", {"mean": 0.0, "variance": 0.09}))
    cases.append(normal_case((2, 1e9, 1.0), (3, 1e9 + 1, 2.0), "absolute", None, 1e-6))
    cases.append(normal_case((1000, 0.0, 1.0), (1000, 1.2, 1.0), "absolute", None))
    cases.append(normal_case((1000, 1.5, 1.0), (1000, 0.0, 1.0), "absolute", {"mean": 0.0, "variance": 100.0}))
    for arms, difference, status in [(((1, 1.0, 0.0), (5, 1.0, 1.0)), "absolute", "too_few_units"), (((5, 1.0, 0.0), (5, 2.0, 0.0)), "absolute", "zero_variance"), (((5, 0.0, 1.0), (5, 2.0, 1.0)), "relative", "zero_denominator")]:
        c, t = (dict(zip(("n", "mean", "variance"), arm)) for arm in arms)
        expect = {"posterior_mean": None, "posterior_sd": None, "prob_treatment_better": None, "credible_interval": None, "status": status}
        cases.append(case({"method": "normal_normal", "control": c, "treatment": t, "difference": difference, "prior": None}, expect))
    write("bayes", "Miller's sums and normal formulas in 50 to 60 digits (mpmath), cumulants by polygamma for large counts; intervals by tanh-sinh quadrature and brentq (numpy, scipy)", cases)


def best_normal(arms):
    arms = [(mp.mpf(m), mp.mpf(s)) for m, s in arms]
    result = []
    for i, (m, s) in enumerate(arms):
        def f(x):
            value = mp.npdf(x, m, s)
            for j, (n, r) in enumerate(arms):
                if j != i:
                    value *= mp.erfc(-(x - n) / r / mp.sqrt(2)) / 2
            return value
        marks = sorted({m + k * s for k in range(-12, 13)} | {n + k * r for n, r in arms for k in (-8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8) if abs(n + k * r - m) < 38 * s})
        result.append(mp.quad(f, marks))
    return [out(p) for p in result]


def best_beta(arms):
    result = []
    for i, (a, b) in enumerate(arms):
        def f(x):
            value = x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b)
            for j, (c, d) in enumerate(arms):
                if j != i:
                    value *= mp.betainc(c, d, 0, x, regularized=True)
            return value
        marks = sorted({mp.mpf(0), mp.mpf(1)} | {mp.mpf(c) / (c + d) for c, d in arms} | {mp.mpf(k) / 8 for k in range(1, 8)})
        result.append(mp.quad(f, marks))
    return [out(p) for p in result]


def bandits():
    mp.mp.dps = 20
    cases = []
    for arms in [
        [(1.0, 0.1), (1.1, 0.1), (0.9, 0.1)], [(0.0, 1.0)], [(5.0, 2.0), (5.0, 2.0)], [(0.0, 1.0), (0.0, 100.0)], [(0.0, 1.0), (0.5, 1e-4), (-3.0, 5.0)],
        [(1e9, 1.0), (1e9 + 2, 1.5)], [(0.0, 1.0), (20.0, 1.0)], [(0.1 * k, 0.5 + 0.1 * k) for k in range(6)], [(1e-300, 1e-300), (3e-300, 2e-300)],
    ]:
        tolerance = 1e-9
        cases.append(case({"method": "thompson_normal", "arms": [{"mean": m, "sd": s} for m, s in arms]}, {"prob_best": best_normal(arms)}, tolerance))
    for arms in [
        [(11, 91), (14, 88), (9, 93)], [(1, 1)], [(1, 1), (1, 1), (1, 1), (1, 1)], [(0.5, 0.5), (3, 2)], [(1, 1000), (2, 900), (1, 1)], [(40, 60), (300, 420), (5, 4), (1, 9)], [(200, 300), (240, 260)],
    ]:
        cases.append(case({"method": "thompson_beta", "arms": [{"alpha": a, "beta": b} for a, b in arms]}, {"prob_best": best_beta(arms)}, 1e-9))
    for prob, floor in [([0.2, 0.7, 0.1], 0.01), ([1.0, 0.0], 0.05), ([0.5, 0.5], 0.5), ([1.0], 0.0), ([0.25] * 4, None)]:
        f = 0.01 if floor is None else floor
        request = {"method": "thompson_weights", "prob_best": prob} | ({} if floor is None else {"floor": floor})
        cases.append(case(request, {"weights": [out(mp.mpf(f) + (1 - len(prob) * mp.mpf(f)) * p) for p in prob]}))
    for arms in [[(100, 0.1), (50, 0.12), (10, 0.05)], [(3, 0.5), (0, None), (0, None)], [(1, 0.3)], [(0, 0.0)], [(7, 0.5), (7, 0.5)], [(10**9, 0.5), (3, 0.499)]]:
        total = sum(n for n, _ in arms)
        index = [mp.inf if n == 0 else mp.mpf(m) + mp.sqrt(2 * mp.log(total) / n) for n, m in arms]
        choice = max(range(len(arms)), key=lambda i: (index[i], -i))
        cases.append(case({"method": "ucb1", "arms": [{"n": n, "mean": m} for n, m in arms]}, {"index": [out(x) for x in index], "choice": choice}))
    # AIPW over rows, written out.
    rng = np.random.default_rng(7)
    for shares in [[(0.5, 0.5), (0.2, 0.8), (0.05, 0.6)], [(0.5, 0.5)], [(0.3, 0.3), (0.1, 0.8)]]:
        phases, scores, seen = [], [], {0: [], 1: []}
        for e in shares:
            n = 400
            which = rng.choice(3, size=n, p=[e[0], e[1], max(0.0, 1 - e[0] - e[1])])
            y = rng.normal(1.0 + 0.2 * (which == 1), 1.0)
            m = [np.mean(seen[w]) if seen[w] else 0.0 for w in (0, 1)]
            gamma = [m[w] + (which == w) * (y - m[w]) / e[w] for w in (0, 1)]
            scores.extend(gamma[1] - gamma[0])
            arm = lambda w: {"n": int(np.sum(which == w)), "mean": float(np.mean(y[which == w])), "variance": float(np.var(y[which == w], ddof=1)), "share": e[w]}
            phases.append({"n": n, "control": arm(0), "treatment": arm(1)})
            for w in (0, 1):
                seen[w].extend(y[which == w])
        scores = np.array(scores)
        effect, se = float(np.mean(scores)), float(np.sqrt(np.mean((scores - np.mean(scores)) ** 2) / len(scores)))
        cases.append(case({"method": "adaptive_effect", "phases": phases}, {"effect": effect, "se": se, "p_value": float(2 * stats.norm.sf(abs(effect / se)))}))
    mp.mp.dps = 50
    write("bandits", "adaptive quadrature in 20 digits (mpmath quad); AIPW scores row by row (numpy)", cases)


PARTS = {"bayes": bayes, "bandits": bandits}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
