//! Who a visitor is, and which assignments must stick: one signed first-party cookie.
//!
//! The cookie carries an anonymous id and, for each sticky or frozen experiment, the variant of each unit that was enrolled through
//! this browser. It serves the evaluator as units and prior assignments; the evaluator itself keeps no state. The way through:
//!
//! ```text
//! let sticky = sticky_experiments(config);
//! let mut jar = Jar::read(cookie_header, &keys.cookie, now_ms);
//! jar.identify(random);                      // or `adopt`, when the caller names an anonymous id
//! jar.recall(&sticky, &mut context);         // adds the anonymous id and the prior assignments
//! …evaluate…
//! jar.remember(&sticky, &decision);          // of everything that the visitor may get to see
//! if let Some(header) = jar.set_cookie(domain) { … }
//! ```
//!
//! When 1 KB is reached, assignments are dropped that this request has no use for (ended experiments, other people who used the
//! browser), oldest first, and only then others, oldest first.

mod cookie;
mod visitor;

use eval_core::{CompiledConfig, Context, Decision, StickyExperiment, UnitText};

pub use cookie::{CookieContents, Kept, parse, write};
pub(crate) use visitor::Visitor;

use crate::random::Random;
use crate::signing::SigningKey;

/// Name of the cookie.
pub const COOKIE_NAME: &str = "sortition_id";
/// The unit type of visitors.
pub const ANONYMOUS_UNIT: &str = "anonymous_id";
/// Bytes of a whole `Set-Cookie` header, attributes included.
pub const MAX_COOKIE_BYTES: usize = 1024;
/// Seconds for which browsers keep the cookie: 400 days, the most that they accept.
const MAX_AGE_S: u32 = 400 * 86_400;
/// Days after which a cookie is sent anew though nothing in it changed, so that a visitor who returns is never forgotten.
const RENEW_DAYS: i64 = 30;
/// Cookies of our name that are tried; a browser sends several when they were set for several domains.
const MAX_TRIED: usize = 4;
/// Bytes of an anonymous id that the cookie can hold; longer ones are used but not kept.
const MAX_ID_BYTES: usize = 255;

/// What one browser carries for its visitor.
#[derive(Debug, Clone)]
pub struct Jar<'k> {
    key: &'k SigningKey,
    today: u16,
    anonymous_id: String,
    kept: Vec<Remembered>,
    is_known: bool,
    has_changed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Remembered {
    kept: Kept,
    /// This request has a use for it.
    is_used: bool,
}

/// The experiments of a config that keep prior assignments, sorted by key: worked out once for each request that has a jar.
pub fn sticky_experiments<'c>(config: &'c CompiledConfig<'_>) -> Vec<StickyExperiment<'c>> {
    let mut sticky: Vec<_> = config.sticky_experiments().collect();
    sticky.sort_unstable_by_key(|experiment| experiment.key);
    sticky
}

impl<'k> Jar<'k> {
    /// Reads the `Cookie` header of a request. The jar is empty when there is no cookie of ours, or none that this edge has signed.
    pub fn read(cookie_header: Option<&str>, key: &'k SigningKey, now_ms: i64) -> Self {
        let today = now_ms.div_euclid(86_400_000);
        let found = cookies(cookie_header.unwrap_or_default())
            .take(MAX_TRIED)
            .find_map(|value| parse(value, key));
        let is_known = found.is_some();
        let has_changed = found
            .as_ref()
            .is_some_and(|found| (today - i64::from(found.issued_day)).abs() >= RENEW_DAYS);
        let (anonymous_id, kept) = match found {
            Some(CookieContents { anonymous_id, kept, .. }) => (anonymous_id, kept),
            None => (String::new(), Vec::new()),
        };
        Self {
            key,
            today: u16::try_from(today).unwrap_or(0),
            anonymous_id,
            kept: kept.into_iter().map(|kept| Remembered { kept, is_used: false }).collect(),
            is_known,
            has_changed,
        }
    }

    /// Whether the browser sent a cookie that this edge has signed.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The visitor's id, if the jar has one.
    pub fn anonymous_id(&self) -> Option<&str> {
        (!self.anonymous_id.is_empty()).then_some(self.anonymous_id.as_str())
    }

    /// Makes sure that the visitor has an id.
    pub fn identify(&mut self, random: &Random) {
        if self.anonymous_id.is_empty() {
            self.anonymous_id = random.id();
            self.has_changed = true;
        }
    }

    /// Takes over an anonymous id that the caller names. What was kept for another id stays kept for that one.
    pub fn adopt(&mut self, anonymous_id: &str) {
        if self.anonymous_id != anonymous_id
            && !anonymous_id.is_empty()
            && anonymous_id.len() <= MAX_ID_BYTES
        {
            anonymous_id.clone_into(&mut self.anonymous_id);
            self.has_changed = true;
        }
    }

    /// Adds to a context what the jar knows: the anonymous id, unless the context names one, and the prior assignments of the
    /// context's units, after those that the caller gave, which win.
    pub fn recall<'c>(&mut self, sticky: &[StickyExperiment<'c>], context: &mut Context<'c>) {
        if context.unit_id(ANONYMOUS_UNIT).is_none() && !self.anonymous_id.is_empty() {
            context.units.insert(0, (ANONYMOUS_UNIT.into(), self.anonymous_id.clone().into()));
        }
        self.priors(sticky, context);
    }

    /// Adds the prior assignments of a context's units.
    pub fn priors<'c>(&mut self, sticky: &[StickyExperiment<'c>], context: &mut Context<'c>) {
        if self.kept.is_empty() {
            return;
        }
        for experiment in sticky {
            let Some(unit_id) = context.unit_id(experiment.unit_type) else { continue };
            let unit = cookie::unit_hash(self.key, experiment.key, experiment.unit_type, unit_id);
            let Some(found) = self.kept.iter_mut().find(|known| known.kept.unit == unit) else {
                continue;
            };
            let place = found.kept.place(experiment.variants());
            if let Some(variant) = place.and_then(|place| experiment.variants().nth(place)) {
                found.is_used = true;
                if context.prior_variant(experiment.key).is_none() {
                    context.prior.push((experiment.key.into(), variant.into()));
                }
            }
        }
    }

    /// Keeps what a decision assigned, if its experiment is one of `sticky` and the unit takes part.
    pub fn remember(&mut self, sticky: &[StickyExperiment<'_>], decision: &Decision<'_>) {
        let Some(exposure) = decision.exposure() else { return };
        let UnitText::Id(unit_id) = exposure.unit else { return };
        let Ok(at) = sticky.binary_search_by_key(&exposure.experiment, |known| known.key) else {
            return;
        };
        let Some(experiment) = sticky.get(at) else { return };
        let place = experiment.variants().position(|variant| variant == exposure.variant);
        let Some(index) = place.and_then(|place| u8::try_from(place).ok()) else { return };
        let unit = cookie::unit_hash(self.key, experiment.key, experiment.unit_type, unit_id);
        let kept = Kept::new(unit, index, exposure.variant);
        if let Some(known) = self.kept.iter_mut().find(|known| known.kept.unit == unit) {
            self.has_changed |= known.kept != kept;
            *known = Remembered { kept, is_used: true };
        } else {
            self.kept.push(Remembered { kept, is_used: true });
            self.has_changed = true;
        }
    }

    /// The value of the `Set-Cookie` header, when the browser's cookie must change. `domain` widens it to a domain's subdomains.
    pub fn set_cookie(&self, domain: Option<&str>) -> Option<String> {
        if !self.has_changed {
            return None;
        }
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let attributes =
            format!("; Path=/; Max-Age={MAX_AGE_S}; HttpOnly; Secure; SameSite=Lax{domain}");
        let room = MAX_COOKIE_BYTES.saturating_sub(COOKIE_NAME.len() + 1 + attributes.len());
        let contents = CookieContents {
            issued_day: self.today,
            anonymous_id: self.anonymous_id.clone(),
            kept: self.fitting(cookie::capacity(room, self.anonymous_id.len())),
        };
        Some(format!("{COOKIE_NAME}={}{attributes}", write(&contents, self.key)))
    }

    /// At most `capacity` assignments, oldest first, without those that can best be spared.
    fn fitting(&self, capacity: usize) -> Vec<Kept> {
        let n_spared = self.kept.len().saturating_sub(capacity);
        let n_unused = self.kept.iter().filter(|known| !known.is_used).count();
        let mut spare_unused = n_spared.min(n_unused);
        let mut spare_used = n_spared - spare_unused;
        let mut kept = Vec::with_capacity(capacity.min(self.kept.len()));
        for known in &self.kept {
            let spare = if known.is_used { &mut spare_used } else { &mut spare_unused };
            if *spare > 0 {
                *spare -= 1;
            } else {
                kept.push(known.kept);
            }
        }
        kept
    }
}

/// Values of the cookies of our name in a `Cookie` header.
fn cookies(header: &str) -> impl Iterator<Item = &str> {
    header.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == COOKIE_NAME).then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKeys;

    const NOW_MS: i64 = 1_795_170_600_000;

    fn key() -> SigningKey {
        SigningKeys::derive(&[9; 32], "production-k3v9x2mq").cookie
    }

    fn sent_back(set_cookie: &str) -> String {
        set_cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_visitor_without_a_cookie_gets_one_and_keeps_it() {
        let (key, random) = (key(), Random::new([1; 32]));
        let mut jar = Jar::read(None, &key, NOW_MS);
        assert_eq!((jar.is_known(), jar.anonymous_id(), jar.set_cookie(None)), (false, None, None));
        jar.identify(&random);
        let id = jar.anonymous_id().unwrap().to_owned();
        let header = jar.set_cookie(Some("shop.example")).unwrap();
        assert!(
            header.ends_with(
                "; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax; Domain=shop.example"
            ),
            "{header}"
        );
        let sent = format!("theme=dark; {}; other=1", sent_back(&header));
        let mut again = Jar::read(Some(&sent), &key, NOW_MS + 86_400_000);
        again.identify(&random);
        assert!(again.is_known());
        assert_eq!(again.anonymous_id(), Some(id.as_str()));
        assert_eq!(again.set_cookie(None), None, "nothing changed");
        let much_later = Jar::read(Some(&sent), &key, NOW_MS + 31 * 86_400_000);
        assert!(much_later.set_cookie(None).is_some(), "renewed before it expires");
    }

    #[test]
    fn a_cookie_that_this_edge_has_not_signed_is_no_cookie() {
        let (key, random) = (key(), Random::new([1; 32]));
        let other = SigningKeys::derive(&[9; 32], "staging-k3v9x2mq").cookie;
        let mut jar = Jar::read(None, &other, NOW_MS);
        jar.identify(&random);
        let foreign = sent_back(&jar.set_cookie(None).unwrap());
        for sent in [foreign.as_str(), "sortition_id=", "sortition_id", "sortition_id=\"x\"", ";;="]
        {
            assert!(!Jar::read(Some(sent), &key, NOW_MS).is_known(), "{sent}");
        }
        let mut jar = Jar::read(None, &key, NOW_MS);
        jar.identify(&random);
        let both = format!("{foreign}; {}", sent_back(&jar.set_cookie(None).unwrap()));
        assert!(Jar::read(Some(&both), &key, NOW_MS).is_known(), "ours is found behind another");
    }

    #[test]
    fn a_full_jar_drops_what_the_request_has_no_use_for_oldest_first() {
        let key = key();
        let mut jar = Jar::read(None, &key, NOW_MS);
        jar.adopt("a-1");
        jar.kept = (0..200)
            .map(|n| Remembered { kept: Kept { unit: n, index: 0, check: 0 }, is_used: n % 2 == 0 })
            .collect();
        let header = jar.set_cookie(None).unwrap();
        assert!(header.len() <= MAX_COOKIE_BYTES, "{}", header.len());
        let value = sent_back(&header);
        let kept = parse(value.split_once('=').unwrap().1, &key).unwrap().kept;
        assert!(kept.len() >= 100, "{}", kept.len());
        let units: Vec<u32> = kept.iter().map(|kept| kept.unit).collect();
        assert!((0..200).step_by(2).all(|n| units.contains(&n)), "all that are in use: {units:?}");
        let unused: Vec<u32> = units.into_iter().filter(|n| n % 2 == 1).collect();
        let youngest = (0..200).filter(|n| n % 2 == 1).skip(100 - unused.len());
        assert_eq!(unused, youngest.collect::<Vec<_>>());
    }
}
