//! Integrals by Gauss–Legendre panels.

/// Nodes and weights of the Gauss–Legendre rule of order 16 on [−1, 1], the positive half.
pub(super) const NODES: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];

/// Panels after which a tail that does not end is given up.
const MOST_PANELS: u32 = 400;

/// `∫₀^∞ f(u) du` of a function that falls, in panels of a width over which it is smooth.
pub(super) fn panels(width: f64, f: impl Fn(f64) -> f64) -> f64 {
    let mut sum = 0.0;
    for panel in 0..MOST_PANELS {
        let middle = (f64::from(panel) + 0.5) * width;
        let mut part = 0.0;
        for (node, weight) in NODES {
            let reach = 0.5 * width * node;
            part += weight * (f(middle - reach) + f(middle + reach));
        }
        sum += part;
        if part <= 1e-17 * sum {
            break;
        }
    }
    0.5 * width * sum
}
