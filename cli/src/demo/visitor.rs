//! Who visits the demo shop, and what he does there: a pure function of a number and of the variant
//! that he is shown, so that any visit can be repeated.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// How visitors behave who are shown a variant. The differences are the true effects, which the
/// results page should come to show.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Behaviour {
    /// Chance that a visitor buys something.
    purchase: f64,
    /// Median time in which the page loads, in ms.
    page_load_ms: f64,
}

impl Behaviour {
    fn of(variant: Option<&str>) -> Self {
        match variant {
            Some("treatment_a") => Self { purchase: 0.33, page_load_ms: 880.0 },
            Some("treatment_b") => Self { purchase: 0.305, page_load_ms: 920.0 },
            _ => Self { purchase: 0.30, page_load_ms: 900.0 },
        }
    }
}

/// Somebody who opens the shop.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visitor {
    /// His `user_id`.
    pub(crate) id: String,
    /// ISO 3166 code.
    pub(crate) country: &'static str,
    /// What he uses.
    pub(crate) platform: &'static str,
    /// Whether he was here before.
    pub(crate) returning: bool,
    random: SmallRng,
}

/// Something that a visitor did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Deed {
    /// Name of the event.
    pub(crate) event: &'static str,
    /// Its value: ms or US dollars.
    pub(crate) value: f64,
}

impl Visitor {
    /// The visitor of that number.
    pub(crate) fn number(number: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(number);
        let country = pick(&mut random, &[("US", 0.6), ("CA", 0.25), ("DE", 0.15)]);
        let platform = pick(&mut random, &[("web", 0.6), ("ios", 0.3), ("android", 0.1)]);
        let returning = random.random_bool(0.8);
        Self { id: format!("visitor-{number}"), country, platform, returning, random }
    }

    /// What he does when he is shown the variant.
    pub(crate) fn visit(mut self, variant: Option<&str>) -> Vec<Deed> {
        let behaviour = Behaviour::of(variant);
        let page_load_ms = behaviour.page_load_ms * (0.4 * normal(&mut self.random)).exp();
        let mut deeds = vec![Deed { event: "page_load", value: page_load_ms.round() }];
        if self.random.random_bool(behaviour.purchase) {
            let dollars = 45.0 * (0.6 * normal(&mut self.random)).exp();
            deeds.push(Deed { event: "purchase", value: (dollars * 100.0).round() / 100.0 });
        }
        deeds
    }
}

/// A visitor's number that no earlier run reached: a million of them for each second since 1970.
pub(crate) fn fresh_number() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0)
}

/// One of the names, each with its chance; the chances sum to 1.
fn pick(random: &mut SmallRng, choices: &[(&'static str, f64)]) -> &'static str {
    let mut left: f64 = random.random();
    for (name, chance) in choices {
        left -= chance;
        if left < 0.0 {
            return name;
        }
    }
    choices[choices.len() - 1].0
}

/// A standard normal number, by the method of Box and Muller (1958).
fn normal(random: &mut SmallRng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::Visitor;

    #[test]
    fn the_same_number_is_the_same_visitor_with_the_same_deeds() {
        for number in 0..100 {
            let visitor = Visitor::number(number);
            assert_eq!(Visitor::number(number), visitor);
            let again = visitor.clone();
            assert_eq!(again.visit(Some("control")), visitor.visit(Some("control")));
        }
    }

    #[test]
    fn a_better_variant_sells_more() {
        let n_sold = |variant| {
            (0..20_000)
                .filter(|&number| Visitor::number(number).visit(Some(variant)).len() == 2)
                .count()
        };
        let (control, better) = (n_sold("control"), n_sold("treatment_a"));
        assert!((5_700..6_300).contains(&control), "{control}");
        assert!((6_300..6_900).contains(&better), "{better}");
    }
}
