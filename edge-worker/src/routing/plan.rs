//! From a request to what a shell has to do: one fetch, and another in reserve.

use std::fmt::Write as _;
use std::sync::Arc;

use eval_core::route::{Matched, RequestPath};
use eval_core::{CompiledConfig, Context};
use xxhash_rust::xxh3::xxh3_64;

use super::decide::{Decider, Target};
use super::hosts::{Host, host_name};
use super::qa::{self, Overrides, QA_NAME};
use super::state::count;
use super::{Edits, Head, attributes, cache, script, upstream};
use crate::auth::{Held, Refused};
use crate::environments::Environment;
use crate::exposures::Decided;
use crate::identity::{ANONYMOUS_UNIT, Jar, sticky_experiments};
use crate::request::Patience;
use crate::response::{Answer, Problem, push_json_string};
use crate::service::Service;
use crate::sorted::sorted_once;

/// What becomes of a request.
#[derive(Debug)]
pub enum Routed {
    /// This edge does not stand in front of that host.
    Elsewhere,
    /// Load this environment, of which nothing is known yet, and ask again.
    Load(Arc<Environment>),
    /// Send this.
    Answer(Answer),
    /// Ask an origin.
    Fetch(Box<Plan>),
}

/// One fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The whole URL.
    pub url: String,
    /// Changes of the client's headers.
    pub edits: Edits,
    /// Key under which a cache may hold the answer; `None` when it must not be asked.
    pub cache_key: Option<String>,
    /// Scheme, host and base path: what fails or does not.
    pub(super) origin: String,
}

/// What a shell has to do, and what its answer will need.
#[derive(Debug)]
pub struct Plan {
    /// To be tried in order; the second one is control's.
    pub attempts: Vec<Attempt>,
    /// Whether the request was a HEAD.
    pub(super) is_head: bool,
    /// Scheme and host as the client sees them.
    pub(super) public: String,
    /// The answer is for this visitor alone.
    pub(super) is_personal: bool,
    /// Ending of entity tags, by which a browser's copy of a page with other decisions is told apart.
    pub(super) tag: String,
    /// Entity tags of the origin that the browser has a current copy of.
    pub(super) known_tags: Option<String>,
    /// The script's text, for pages.
    pub(super) script: Option<String>,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) set_cookies: Vec<String>,
    /// Decisions to show in a header, under an override.
    pub(super) shown: Option<String>,
    exposures: Option<Exposures>,
}

/// What is logged when the answer is on its way.
#[derive(Debug)]
struct Exposures {
    held: Held,
    context: Context<'static>,
    keys: Vec<String>,
    now_ms: i64,
}

impl Service {
    /// Whether a request is one for [`route`](Self::route): its host is routed, and its path none of the edge's own.
    pub fn is_routed(&self, authority: &str, path: &str) -> bool {
        let hosts = &self.config().routing.hosts;
        !hosts.is_empty()
            && !crate::routes::is_own(path)
            && host_name(authority).is_some_and(|host| hosts.find(host).is_some())
    }

    /// Assigns the visitor and says where the request goes.
    pub fn route(&self, head: &Head<'_>) -> Routed {
        let host = host_name(head.authority);
        let entry = host.and_then(|host| self.config().routing.hosts.find(host));
        let (Some(host), Some(entry)) = (host, entry) else { return Routed::Elsewhere };
        match route(self, head, host, entry) {
            Ok(routed) => routed,
            Err(problem) => Routed::Answer(Answer::from(problem).with("cache-control", "no-store")),
        }
    }

    /// Where the request goes when [`route`](Self::route) has a bug: to the host's own origin, as if there were no config.
    pub fn pass_on(&self, head: &Head<'_>) -> Routed {
        let host = host_name(head.authority);
        let entry = host.and_then(|host| self.config().routing.hosts.find(host));
        let (Some(host), Some(entry), Some(path)) = (host, entry, RequestPath::parse(head.path))
        else {
            return Routed::Elsewhere;
        };
        let query = qa::strip(head.query);
        let asked = Asked { service: self, head, host, entry, path: &path, query };
        asked.without_config().unwrap_or_else(|problem| Routed::Answer(problem.into()))
    }
}

fn route(service: &Service, head: &Head<'_>, host: &str, entry: &Host) -> Result<Routed, Problem> {
    if head.header("upgrade").is_some() {
        let detail = "upgrades, such as WebSockets, are not routed; connect to the origin itself";
        return Err(Problem::new(501, "upgrade_not_routed", detail));
    }
    if upstream::hops(head) >= upstream::MAX_HOPS {
        count(&service.routing().looped);
        let detail = "the request came back to this edge: an origin leads to the edge itself";
        return Err(Problem::new(508, "loop_detected", detail));
    }
    let Some(path) = RequestPath::parse(head.path) else {
        return Err(Problem::new(400, "invalid_path", "the path is too long or malformed"));
    };
    let environment = match service.environment(&entry.environment, head.now_ms, Patience::Loads) {
        Ok(environment) => environment,
        Err(Refused::Untried(environment)) => return Ok(Routed::Load(environment)),
        Err(_) => return Ok(Routed::Elsewhere),
    };
    let asked = Asked { service, head, host, entry, path: &path, query: qa::strip(head.query) };
    match environment.held() {
        Some(config) => asked.with_config(&Held { environment, config }),
        None => asked.without_config(),
    }
}

/// A request that can be routed.
struct Asked<'a> {
    service: &'a Service,
    head: &'a Head<'a>,
    host: &'a str,
    entry: &'a Host,
    path: &'a RequestPath<'a>,
    query: String,
}

impl Asked<'_> {
    fn public(&self) -> String {
        format!("{}://{}", self.head.scheme, self.head.authority)
    }

    /// Everything goes to the host's own origin, unchanged.
    fn without_config(&self) -> Result<Routed, Problem> {
        let attempt = self.attempt(&Target::default(), "", "", None)?;
        Ok(self.fetch(vec![attempt], Plan::new(self.head, self.public())))
    }

    fn fetch(&self, attempts: Vec<Attempt>, plan: Plan) -> Routed {
        count(&self.service.routing().routed);
        Routed::Fetch(Box::new(Plan { attempts, ..plan }))
    }

    fn attempt(
        &self,
        target: &Target<'_>,
        told: &str,
        varying: &str,
        personal: Option<&upstream::Personal>,
    ) -> Result<Attempt, Problem> {
        let default = self.entry.origin.as_deref();
        let Some(url) = target.url(default, self.path, &self.query) else {
            let detail = "neither a route nor SORTITION_HOSTS names an origin for this URL";
            return Err(Problem::new(404, "no_origin", detail));
        };
        let cache_key = cache::key(self.head, &url, varying, &target.request_headers);
        let mut edits = upstream::edits(self.head, told, personal);
        if let Some(key) = &cache_key {
            edits.set("x-sortition-cache-key", key);
        }
        for (name, value) in &target.request_headers {
            edits.apply(name, value);
        }
        let origin = target.origin.or(default).unwrap_or_default().to_owned();
        Ok(Attempt { url, edits, cache_key, origin })
    }

    fn with_config(&self, held: &Held) -> Result<Routed, Problem> {
        let (service, head) = (self.service, self.head);
        let config = held.config.config();
        let matched = config.routes().matching(self.host, self.path);
        if matched.iter().all(|row| row.route.experiment.is_none() && !row.route.inject) {
            return self.without_experiments(&matched);
        }
        let cookies = head.header("cookie");
        let keys = held.environment.signing_keys(service.config());
        let qa = qa::Asked::of(head.query, cookies);
        let overrides = keys.and_then(|keys| match qa {
            qa::Asked::Token(token) | qa::Asked::Kept(token) => {
                Overrides::read(token, &keys.qa, head.now_ms)
            }
            qa::Asked::No | qa::Asked::Off => None,
        });
        let sticky = sticky_experiments(config);
        let mut jar = keys.map(|keys| Jar::read(cookies, &keys.cookie, head.now_ms));
        if let Some(jar) = &mut jar
            // What belongs to a page and comes without the page's cookie must not make up a visitor of its own.
            && (jar.is_known() || head.wants_page())
        {
            jar.identify(service.random());
        }
        let attributes = attributes::add(Context::new(), config, head, self.path);
        let mut context: Context<'_> = attributes.clone();
        if let Some(jar) = &mut jar {
            jar.recall(&sticky, &mut context);
        }
        let list_key = held.environment.list_key(service.config(), config);
        let mut decider = Decider {
            config,
            evaluation: eval_core::Request::new(config, &context, list_key.as_ref(), head.now_ms),
            overrides: overrides.as_ref(),
            known: Vec::new(),
        };
        let target = decider.target(&matched);
        let redirect = self.redirect(&mut decider, config, &target);

        let mut keys =
            sorted_once(matched.iter().filter_map(|row| row.route.experiment.as_deref()));
        if let Some((leads, _)) = &redirect {
            // What else was decided is for the page that the client goes on to.
            keys.retain(|key| Some(*key) == leads.key);
        }
        let mut logged = Vec::new();
        for key in &keys {
            if let Some(decision) = decider.decide(key).decision {
                logged.push((*key).to_owned());
                if let Some(jar) = &mut jar {
                    jar.remember(&sticky, &decision);
                }
            }
        }
        if overrides.is_some() {
            count(&service.routing().overridden);
        }
        let mut set_cookies = Vec::new();
        let domain = service.config().cookie_domain.as_deref();
        if let Some(jar) = &jar
            && jar.anonymous_id().is_some()
        {
            set_cookies.extend(jar.set_cookie(domain));
        }
        set_cookies.extend(qa_cookie(&qa, overrides.as_ref(), head));

        let owned =
            Context { units: own(&context.units), prior: own(&context.prior), ..attributes };
        let is_shown = !head.is_prefetch() && (head.is_safe() || head.method == "POST");
        let exposures = (is_shown && head.method != "OPTIONS").then(|| Exposures {
            held: held.clone(),
            context: owned,
            keys: logged,
            now_ms: head.now_ms,
        });

        if let Some((leads, location)) = redirect {
            count(&service.routing().redirected);
            if let Some(exposures) = &exposures {
                exposures.log(service);
            }
            let mut answer = Answer::empty(leads.redirect.status).with("location", location);
            if leads.key.is_some() {
                answer = answer.with("cache-control", "private, no-store").with("vary", "Cookie");
            }
            let answer = set_cookies
                .into_iter()
                .fold(answer, |answer, cookie| answer.with("set-cookie", cookie));
            return Ok(Routed::Answer(answer));
        }

        let is_control = |row: &Matched<'_>| row.route.experiment.is_some();
        let control = Target::of(&matched, |row| is_control(row).then_some(row.control));
        let injects = head.wants_page() && matched.iter().any(|row| row.route.inject);
        let script = injects.then(|| {
            let anonymous_id = context.unit_id(ANONYMOUS_UNIT);
            script::body(&json(held.config.generation(), anonymous_id, &matched, &mut decider))
        });
        let mut own_label = |wanted: &dyn Fn(&Matched<'_>) -> bool| {
            label(&matched, wanted, |row| decider.decide(row.route.experiment.as_deref()?).variant)
        };
        let varying = |row: &Matched<'_>| row.route.varies_origin();
        let told = |row: &Matched<'_>| row.route.tell_origin;
        let (own_varying, own_told) = (own_label(&varying), own_label(&told));
        let shown = overrides.is_some().then(|| own_label(&|_| true));
        let tag_text = format!("{own_varying}\n{}", script.as_deref().unwrap_or_default());
        let personal = upstream::Personal::new(head, xxh3_64(tag_text.as_bytes()), injects);

        let mut attempts = vec![self.attempt(&target, &own_told, &own_varying, Some(&personal))?];
        if head.is_safe() {
            let of_control = |wanted: &dyn Fn(&Matched<'_>) -> bool| {
                label(&matched, wanted, |row| is_control(row).then_some(row.control))
            };
            let (told, varying) = (of_control(&told), of_control(&varying));
            let reserve = self.attempt(&control, &told, &varying, Some(&personal));
            attempts.extend(reserve.ok().filter(|reserve| {
                attempts
                    .iter()
                    .all(|first| first.url != reserve.url || first.edits != reserve.edits)
            }));
        }
        if let [first, second] = attempts.as_slice()
            && first.origin != second.origin
            && service.routing().is_resting(&first.origin, head.now_ms)
        {
            count(&service.routing().fell_back);
            attempts.remove(0);
        }
        let plan = Plan {
            is_personal: true,
            tag: personal.tag,
            known_tags: personal.known_tags,
            script,
            response_headers: own_headers(&target),
            set_cookies,
            shown,
            exposures,
            ..Plan::new(head, self.public())
        };
        Ok(self.fetch(attempts, plan))
    }

    /// Only base routes match: the same for everyone.
    fn without_experiments(&self, matched: &[Matched<'_>]) -> Result<Routed, Problem> {
        let target = Target::of(matched, |_| None);
        if let Some(leads) = target.redirect
            && let Some(location) = leads.location(self.path)
            && self.local(&location).split(['?', '#']).next() != Some(self.path.as_str())
        {
            count(&self.service.routing().redirected);
            let location = self.with_query(location);
            return Ok(Routed::Answer(
                Answer::empty(leads.redirect.status).with("location", location),
            ));
        }
        let attempt = self.attempt(&target, "", "", None)?;
        let plan =
            Plan { response_headers: own_headers(&target), ..Plan::new(self.head, self.public()) };
        Ok(self.fetch(vec![attempt], plan))
    }

    /// The redirect to answer with, unless it leads to where the client is, or in a circle.
    fn redirect<'c>(
        &self,
        decider: &mut Decider<'c>,
        config: &'c CompiledConfig<'c>,
        target: &Target<'c>,
    ) -> Option<(super::decide::Leads<'c>, String)> {
        let leads = target.redirect?;
        let location = leads.location(self.path)?;
        let local = self.local(&location);
        if local.starts_with('/')
            && (local.split(['?', '#']).next() == Some(self.path.as_str())
                || !decider.settles(config.routes(), self.host, local))
        {
            return None;
        }
        Some((leads, self.with_query(location)))
    }

    /// The location as a path, if it lies on the host that was asked.
    fn local<'l>(&self, location: &'l str) -> &'l str {
        let rest = location.strip_prefix(&self.public());
        rest.filter(|rest| rest.starts_with('/')).unwrap_or(location)
    }

    fn with_query(&self, location: String) -> String {
        if self.query.is_empty() {
            return location;
        }
        let (place, fragment) = match location.split_once('#') {
            Some((place, fragment)) => (place, format!("#{fragment}")),
            None => (location.as_str(), String::new()),
        };
        let mark = if place.contains('?') { '&' } else { '?' };
        format!("{place}{mark}{}{fragment}", self.query)
    }
}

impl Plan {
    fn new(head: &Head<'_>, public: String) -> Self {
        Self {
            attempts: Vec::new(),
            is_head: head.method == "HEAD",
            public,
            is_personal: false,
            tag: String::new(),
            known_tags: None,
            script: None,
            response_headers: Vec::new(),
            set_cookies: Vec::new(),
            shown: None,
            exposures: None,
        }
    }

    /// Logs what the visitor is about to see.
    pub(super) fn log_exposures(&self, service: &Service) {
        if let Some(exposures) = &self.exposures {
            exposures.log(service);
        }
    }
}

impl Exposures {
    /// Decides again, which gives the same, instead of keeping what borrows from the config.
    fn log(&self, service: &Service) {
        let environment = &self.held.environment;
        let Some(sdk_key) = service.config().routing.sdk_key(environment.id()) else { return };
        let config = self.held.config.config();
        let list_key = environment.list_key(service.config(), config);
        let mut evaluation =
            eval_core::Request::new(config, &self.context, list_key.as_ref(), self.now_ms);
        let decided = Decided::new(&self.held, &self.context, self.now_ms);
        for key in &self.keys {
            decided.log(service, sdk_key, &evaluation.evaluate(key));
        }
    }
}

type Pairs<'c> = Vec<(std::borrow::Cow<'c, str>, std::borrow::Cow<'c, str>)>;

fn own(pairs: &Pairs<'_>) -> Pairs<'static> {
    let owned = |text: &str| std::borrow::Cow::Owned(text.to_owned());
    pairs.iter().map(|(name, value)| (owned(name), owned(value))).collect()
}

fn own_headers(target: &Target<'_>) -> Vec<(String, String)> {
    let headers = target.response_headers.iter();
    headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// `key=variant,…`, sorted by key; what could be mistaken is percent-encoded.
fn label<'c>(
    matched: &[Matched<'c>],
    wanted: &dyn Fn(&Matched<'_>) -> bool,
    mut variant_of: impl FnMut(&Matched<'c>) -> Option<&'c str>,
) -> String {
    let parts = matched.iter().filter(|row| wanted(row)).filter_map(|row| {
        let key = row.route.experiment.as_deref()?;
        Some(format!("{}={}", escape(key), escape(variant_of(row).unwrap_or_default())))
    });
    sorted_once(parts).join(",")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    escaped
}

fn json<'c>(
    generation: u64,
    anonymous_id: Option<&str>,
    matched: &[Matched<'c>],
    decider: &mut Decider<'c>,
) -> String {
    let mut text = format!(r#"{{"generation":{generation},"units":{{"#).into_bytes();
    if let Some(id) = anonymous_id {
        push_json_string(&mut text, ANONYMOUS_UNIT);
        text.push(b':');
        push_json_string(&mut text, id);
    }
    text.extend_from_slice(br#"},"decisions":{"#);
    let injected = matched.iter().filter(|row| row.route.inject);
    let keys = sorted_once(injected.filter_map(|row| row.route.experiment.as_deref()));
    for (at, key) in keys.into_iter().enumerate() {
        let decided = decider.decide(key);
        if at > 0 {
            text.push(b',');
        }
        push_json_string(&mut text, key);
        text.extend_from_slice(br#":{"variant":"#);
        match decided.variant {
            Some(variant) => push_json_string(&mut text, variant),
            None => text.extend_from_slice(b"null"),
        }
        text.extend_from_slice(br#","value":"#);
        text.extend_from_slice(decided.value.unwrap_or("null").as_bytes());
        let is_enrolled = decided.decision.is_some_and(|decision| decision.enrolled());
        text.extend_from_slice(format!(r#","enrolled":{is_enrolled},"reason":"#).as_bytes());
        push_json_string(&mut text, decided.reason);
        text.push(b'}');
    }
    text.extend_from_slice(b"}}");
    String::from_utf8(text).expect("JSON writers write UTF-8")
}

/// Keeps a token that came in the URL, or forgets the one that was kept.
fn qa_cookie(
    asked: &qa::Asked<'_>,
    overrides: Option<&Overrides>,
    head: &Head<'_>,
) -> Option<String> {
    let secure = if head.scheme == "https" { "; Secure" } else { "" };
    match (asked, overrides) {
        (qa::Asked::Token(token), Some(overrides)) => {
            let max_age = overrides.expires_s - head.now_ms.div_euclid(1000);
            Some(format!(
                "{QA_NAME}={token}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}"
            ))
        }
        (qa::Asked::Off, _) => {
            Some(format!("{QA_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"))
        }
        _ => None,
    }
}
