//! Spending functions: how much of alpha may be used by a given information rate.
//!
//! ```text
//! # Question          How much alpha may be spent by the time a share t of the information is there?
//! # Input             t, and the alpha of one side
//! # Formula           O'Brien–Fleming type (Lan–DeMets): `2 − 2 Φ(z_{a/2}/√t)`; Pocock type:
//!                     `a ln(1 + (e − 1) t)`; power: `a t^ρ`; Hwang–Shih–DeCani:
//!                     `a (1 − e^{−γ t})/(1 − e^{−γ})`, for γ = 0 `a t`
//! # Assumes           nothing; each side of a two-sided test spends with a = α/2
//! # Numerics          tails by erfc; exponentials of large γ without overflow; all is spent at t ≥ 1
//! # Reference         Lan & DeMets (1983); Hwang, Shih, DeCani (1990); `tests/golden/group_sequential.json`
//! ```

use super::super::normal;

/// A spending function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spending {
    /// Little at first, most of it at the end.
    OBrienFleming,
    /// Much the same at each of evenly spaced looks.
    Pocock,
    /// `t^ρ`, with ρ > 0.
    Power(f64),
    /// γ < 0 spends late, γ > 0 early.
    HwangShihDeCani(f64),
}

impl Spending {
    /// Alpha that may be spent by information rate `t`, of `a` in all.
    pub fn spent(self, t: f64, a: f64) -> f64 {
        if t >= 1.0 {
            return a;
        }
        if t <= 0.0 {
            return 0.0;
        }
        match self {
            Self::OBrienFleming => normal::two_sided(normal::isf(a / 2.0) / t.sqrt()),
            Self::Pocock => a * (t * (std::f64::consts::E - 1.0)).ln_1p(),
            Self::Power(rho) => a * t.powf(rho),
            Self::HwangShihDeCani(gamma) => a * exponential_share(gamma, t),
        }
    }

    /// What tells this function from others: its kind and the bits of its parameter.
    pub(super) fn key(self) -> (u8, u64) {
        match self {
            Self::OBrienFleming => (0, 0),
            Self::Pocock => (1, 0),
            Self::Power(rho) => (2, rho.to_bits()),
            Self::HwangShihDeCani(gamma) => (3, gamma.to_bits()),
        }
    }
}

/// (1 − e^{−γ t})/(1 − e^{−γ}).
fn exponential_share(gamma: f64, t: f64) -> f64 {
    if gamma.abs() < 1e-300 {
        t
    } else if gamma > 0.0 {
        (-gamma * t).exp_m1() / (-gamma).exp_m1()
    } else {
        (gamma * (1.0 - t)).exp() * ((gamma * t).exp_m1() / gamma.exp_m1())
    }
}
