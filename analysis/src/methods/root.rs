//! Finding where a function crosses zero.

/// A zero of `f` between `a` and `b`, where it must change its sign, by Brent's method (1973) to the
/// last few digits. Without a change of sign it answers the end with the smaller value.
pub(crate) fn brent(mut a: f64, mut b: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut fa, mut fb) = (f(a), f(b));
    if fa * fb > 0.0 {
        return if fa.abs() < fb.abs() { a } else { b };
    }
    let (mut c, mut fc) = (a, fa);
    let (mut step, mut last) = (b - a, b - a);
    for _ in 0..200 {
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let tolerance = 2.0 * f64::EPSILON * b.abs() + f64::MIN_POSITIVE;
        let middle = 0.5 * (c - b);
        if middle.abs() <= tolerance || fb == 0.0 {
            return b;
        }
        if last.abs() >= tolerance && fa.abs() > fb.abs() {
            let s = fb / fa;
            let (mut p, mut q) = if a.to_bits() == c.to_bits() {
                (2.0 * middle * s, 1.0 - s)
            } else {
                let (q, r) = (fa / fc, fb / fc);
                (
                    s * (2.0 * middle * q * (q - r) - (b - a) * (r - 1.0)),
                    (q - 1.0) * (r - 1.0) * (s - 1.0),
                )
            };
            if p > 0.0 {
                q = -q;
            }
            p = p.abs();
            if 2.0 * p < (3.0 * middle * q - (tolerance * q).abs()).min((last * q).abs()) {
                (last, step) = (step, p / q);
            } else {
                (last, step) = (middle, middle);
            }
        } else {
            (last, step) = (middle, middle);
        }
        (a, fa) = (b, fb);
        b += if step.abs() > tolerance { step } else { tolerance.copysign(middle) };
        fb = f(b);
        if (fb > 0.0) == (fc > 0.0) {
            (c, fc) = (a, fa);
            (step, last) = (b - a, b - a);
        }
    }
    b
}

/// A zero of a nearly straight `f` by the secant method from two guesses, to about 1e-13; None where it
/// does not settle within a few steps or leaves the bounds.
pub(crate) fn secant(
    mut a: f64,
    mut b: f64,
    bounds: (f64, f64),
    f: impl Fn(f64) -> f64,
) -> Option<f64> {
    let mut fa = f(a);
    for _ in 0..12 {
        let fb = f(b);
        let step = fb * (b - a) / (fb - fa);
        (a, fa) = (b, fb);
        b -= step;
        if !(b > bounds.0 && b < bounds.1) {
            return None;
        }
        // The next step would be this one times the last one's, and a curvature of about one.
        if step.abs() <= 1e-9 * b.abs() {
            return Some(b);
        }
    }
    None
}

/// As [`brent`] for a function that rises from below zero at `lo` to above it at `hi`, with a slope
/// of about one, and a guess: a narrow bracket around the zero saves most of the steps.
pub(super) fn brent_near(guess: f64, lo: f64, hi: f64, f: impl Fn(f64) -> f64) -> f64 {
    let guess = guess.clamp(lo, hi);
    let at_guess = f(guess);
    if at_guess == 0.0 {
        return guess;
    }
    let rising = at_guess < 0.0;
    let end = if rising { hi } else { lo };
    let mut reach = 1.5 * at_guess.abs();
    for _ in 0..8 {
        let other = if rising { (guess + reach).min(end) } else { (guess - reach).max(end) };
        if (f(other) > 0.0) == rising {
            return brent(guess, other, f);
        }
        reach *= 4.0;
    }
    brent(guess, end, f)
}

#[cfg(test)]
mod tests {
    use super::{brent, brent_near, secant};

    #[test]
    fn a_guess_on_either_side_finds_the_same_zero() {
        for guess in [-5.0, 0.1, 1.2, 1.4, 1.5, 2.9, 9.0] {
            let zero = brent_near(guess, 0.0, 3.0, |x| x * x - 2.0);
            assert!((zero - 2.0_f64.sqrt()).abs() < 1e-15, "{guess} {zero}");
        }
    }

    #[test]
    fn secants_find_the_zero_of_a_nearly_straight_function_or_give_up() {
        let zero = secant(1.5, 1.4, (0.0, 3.0), |x| x * x - 2.0).unwrap();
        assert!((zero - 2.0_f64.sqrt()).abs() < 1e-13, "{zero}");
        assert_eq!(secant(1.0, 1.1, (0.0, 3.0), |x| x * x + 1.0), None);
    }

    #[test]
    fn finds_zeros_to_the_last_digits() {
        assert!((brent(0.0, 3.0, |x| x * x - 2.0) - 2.0_f64.sqrt()).abs() < 1e-15);
        assert!((brent(0.0, 1.0, |x| x.powi(9) - 1e-18) / 1e-2 - 1.0).abs() < 1e-14);
        assert!((brent(-1.0, 1.0, |x| x - 1e-12) / 1e-12 - 1.0).abs() < 1e-12);
    }
}
