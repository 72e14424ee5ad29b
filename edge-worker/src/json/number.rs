//! Decimal numbers to doubles, rounded to the nearest, halves to even.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// Digits of which every number is exact in a double.
const MAX_DIGITS: usize = 15;

/// The number that a text of JSON's grammar says; infinite where it is beyond all doubles.
pub(super) fn parse(text: &str) -> f64 {
    simple(text).unwrap_or_else(|| exact(text))
}

/// Numbers of few digits and without exponent: both parts are exact, so that one division rounds once (W. D. Clinger, "How to Read Floating
/// Point Numbers Accurately", 1990).
fn simple(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text),
    };
    if digits.len() > MAX_DIGITS + 1 {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let n_digits = whole.len() + fraction.len();
    if n_digits == 0 || n_digits > MAX_DIGITS {
        return None;
    }
    let mut mantissa = 0_u64;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        mantissa = mantissa * 10 + u64::from(digit - b'0');
    }
    Some(sign * mantissa as f64 / POWERS.get(fraction.len())?)
}

/// All others, by the standard library.
#[cfg(not(target_arch = "wasm32"))]
fn exact(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// All others, by JavaScript, which reads as exactly and whose tables are no part of the Worker.
#[cfg(target_arch = "wasm32")]
fn exact(text: &str) -> f64 {
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = Number)]
        fn number(text: &str) -> f64;
    }
    number(text)
}
