//! Finding where a function crosses zero.

/// A zero of `f` between `a` and `b`, where it must change its sign, by Brent's method (1973) to the
/// last few digits. Without a change of sign it answers the end with the smaller value.
pub(super) fn brent(mut a: f64, mut b: f64, f: impl Fn(f64) -> f64) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::brent;

    #[test]
    fn finds_zeros_to_the_last_digits() {
        assert!((brent(0.0, 3.0, |x| x * x - 2.0) - 2.0_f64.sqrt()).abs() < 1e-15);
        assert!((brent(0.0, 1.0, |x| x.powi(9) - 1e-18) / 1e-2 - 1.0).abs() < 1e-14);
        assert!((brent(-1.0, 1.0, |x| x - 1e-12) / 1e-12 - 1.0).abs() < 1e-12);
    }
}
