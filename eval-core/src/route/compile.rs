//! From authored routes to the table: what cannot be served is refused, patterns are put in order.

use super::path::percent_decode;
use super::pattern::{by_precedence, parts, wildcards};
use super::{Actions, Route, RouteTable, Row};
use crate::compile::CompileError;
use crate::source::ConfigSource;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Most routes of an environment.
pub const MAX_ROUTES: usize = 10_000;
/// Most pairs of a host pattern and a path pattern, over all routes.
const MAX_ROWS: usize = 50_000;
/// Longest pattern, template or header value, in bytes.
const MAX_TEXT_BYTES: usize = 2048;
/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 128;

/// Headers that belong to one connection or that the edge itself must decide about.
const RESERVED_HEADERS: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The table of an environment's routes.
pub(crate) fn compile(source: &ConfigSource) -> Result<RouteTable<'static>, CompileError> {
    if source.routes.len() > MAX_ROUTES {
        return Err(value("the environment", format!("at most {MAX_ROUTES} routes")));
    }
    let keys = variants_of_keys(source);
    let mut routes: Vec<&Route<String>> = source.routes.iter().collect();
    routes.sort_by(|a, b| a.key.cmp(&b.key));
    let mut table = RouteTable::default();
    for route in routes {
        let entry = format!("route `{}`", route.key);
        if let Some(problem) = problem(route) {
            return Err(CompileError::Value { entry, problem });
        }
        if table.routes.last().is_some_and(|last| last.key == route.key.as_str()) {
            return Err(CompileError::Duplicate { kind: "route", key: route.key.clone() });
        }
        let mut control = "";
        if let Some(key) = &route.experiment {
            let unknown = |kind, key: &str| CompileError::Unknown {
                entry: entry.clone(),
                kind,
                key: key.to_owned(),
            };
            let Some((first, variants)) = keys.get(key.as_str()) else {
                return Err(unknown("experiment or flag", key));
            };
            control = first;
            let missing =
                route.variants.iter().find(|row| !variants.contains(row.variant.as_str()));
            if let Some(row) = missing {
                return Err(unknown("variant", &row.variant));
            }
        }
        add(&mut table, route, control);
    }
    if table.rows.len() > MAX_ROWS {
        return Err(value("the environment", format!("at most {MAX_ROWS} patterns of routes")));
    }
    // The sort is stable and routes come in the order of their keys, which settles the rest.
    table.rows.sort_by(|a, b| by_precedence((&a.host, &a.path), (&b.host, &b.path)));
    Ok(table)
}

fn value(entry: &str, problem: String) -> CompileError {
    CompileError::Value { entry: entry.to_owned(), problem }
}

/// For each key that clients can ask for: its control variant, and all of its variants.
fn variants_of_keys(source: &ConfigSource) -> BTreeMap<&str, (&str, BTreeSet<&str>)> {
    let experiments = source.experiments.iter().map(|experiment| {
        let control = experiment.variants.get(experiment.control);
        (experiment.flag_key.as_str(), control.map_or("", |v| v.key.as_str()), &experiment.variants)
    });
    // A flag wins over an experiment of the same key, which it serves by a rule.
    let flags = source
        .flags
        .iter()
        .map(|flag| (flag.key.as_str(), flag.default_variant.as_str(), &flag.variants));
    experiments
        .chain(flags)
        .map(|(key, control, variants)| {
            (key, (control, variants.iter().map(|variant| variant.key.as_str()).collect()))
        })
        .collect()
}

fn add(table: &mut RouteTable<'static>, route: &Route<String>, control: &str) {
    let index = u32::try_from(table.routes.len()).unwrap_or(u32::MAX);
    let any_host = [String::new()];
    let any_path = ["/**".to_owned()];
    let hosts = if route.hosts.is_empty() { &any_host } else { route.hosts.as_slice() };
    let paths = if route.paths.is_empty() { &any_path } else { route.paths.as_slice() };
    for host in hosts {
        for path in paths {
            let decoded = String::from_utf8(percent_decode(path)).unwrap_or_else(|_| path.clone());
            let host = host.to_ascii_lowercase().into();
            table.rows.push(Row { host, path: decoded.into(), route: index });
        }
    }
    let mut route = route.map(&mut |text: &String| -> Cow<'static, str> { text.clone().into() });
    let origins = route.variants.iter_mut().map(|row| &mut row.actions).chain([&mut route.base]);
    for origin in origins.filter_map(|actions| actions.origin.as_mut()) {
        *origin = Cow::Owned(origin.trim_end_matches('/').to_owned());
    }
    table.routes.push(route);
    table.controls.push(Cow::Owned(control.to_owned()));
}

/// What is wrong with a route by itself.
pub(crate) fn problem<S: AsRef<str>>(route: &Route<S>) -> Option<String> {
    let key = route.key.as_ref();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Some(format!("a key has 1 to {MAX_KEY_BYTES} bytes"));
    }
    if route.experiment.is_none() && !route.variants.is_empty() {
        return Some("variants need an experiment".to_owned());
    }
    let mut named: Vec<&str> = Vec::with_capacity(route.variants.len());
    for row in &route.variants {
        if named.contains(&row.variant.as_ref()) {
            return Some("a variant is named twice".to_owned());
        }
        named.push(row.variant.as_ref());
    }
    let paths = || route.paths.iter().map(AsRef::as_ref);
    route
        .hosts
        .iter()
        .find_map(|host| host_problem(host.as_ref()))
        .or_else(|| paths().find_map(path_problem))
        .or_else(|| {
            let mut all = route.variants.iter().map(|row| &row.actions).chain([&route.base]);
            all.find_map(|actions| actions_problem(actions, &|| paths().map(wildcards).collect()))
        })
}

fn host_problem(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_fine = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !name.starts_with('.');
    (!is_fine).then(|| format!("`{host}` is neither a host name nor `*.` and a host name"))
}

fn path_problem(path: &str) -> Option<String> {
    let is_text = path.len() <= MAX_TEXT_BYTES
        && path.starts_with('/')
        && !path.contains(['?', '#'])
        && !path.chars().any(char::is_control);
    if !is_text {
        return Some(format!(
            "`{path}` is no path pattern: it begins with `/`, has no `?` or `#` and at most {MAX_TEXT_BYTES} bytes"
        ));
    }
    let doubles = parts(path).filter(|part| *part == "**").count();
    let has_odd_part =
        parts(path).any(|part| part != "**" && part.bytes().filter(|b| *b == b'*').count() > 1);
    let has_dots = parts(path).any(|part| matches!(part, "." | ".."));
    (doubles > 1 || has_odd_part || has_dots).then(|| {
        format!("`{path}` is no path pattern: `**` is a segment of its own and occurs once, `*` once in a segment, no segment is `.` or `..`")
    })
}

fn actions_problem<S: AsRef<str>>(
    actions: &Actions<S>,
    patterns: &dyn Fn() -> Vec<(usize, usize)>,
) -> Option<String> {
    if let Some(origin) = &actions.origin
        && let Err(problem) = check_origin(origin.as_ref())
    {
        return Some(problem);
    }
    if let Some(path) = &actions.path {
        let path = path.as_ref();
        let is_path = path.starts_with('/') && !path.contains(['?', '#']) && is_text(path);
        if !is_path {
            return Some(format!(
                "`{path}` is no path to rewrite to: it begins with `/` and has no `?` or `#`"
            ));
        }
        if let Some(problem) = template_problem(path, &patterns()) {
            return Some(problem);
        }
    }
    if let Some(redirect) = &actions.redirect {
        let location = redirect.location.as_ref();
        if !matches!(redirect.status, 301 | 302 | 303 | 307 | 308) {
            return Some(format!("{} is no status to redirect with", redirect.status));
        }
        let is_path = location.starts_with('/') && !location.starts_with("//");
        if !(is_path || check_location(location)) || !is_text(location) {
            return Some(format!(
                "`{location}` is neither a path nor a URL of http or https to redirect to"
            ));
        }
        if let Some(problem) = template_problem(location, &patterns()) {
            return Some(problem);
        }
    }
    actions.request_headers.iter().chain(&actions.response_headers).find_map(|(name, value)| {
        let (name, value) = (name.as_ref(), value.as_ref());
        let is_token =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if name.is_empty() || name.len() > MAX_KEY_BYTES || !name.bytes().all(is_token) {
            return Some(format!("`{name}` is no lower-case header name"));
        }
        if RESERVED_HEADERS.contains(&name) || name.starts_with("x-sortition-") {
            return Some(format!("the header `{name}` is not for routes to set"));
        }
        let is_fine = value.len() <= MAX_TEXT_BYTES
            && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        (!is_fine)
            .then(|| format!("the value of the header `{name}` is not of visible ASCII characters"))
    })
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

fn template_problem(template: &str, patterns: &[(usize, usize)]) -> Option<String> {
    let (stars, doubles) = wildcards(template);
    // No path patterns: every path, which is one `**`.
    let any = [(0, 1)];
    let patterns = if patterns.is_empty() { &any } else { patterns };
    let is_more = patterns.iter().any(|(s, d)| stars > *s || doubles > *d);
    is_more.then(|| format!("`{template}` has more wildcards than a path pattern of the route"))
}

fn check_location(location: &str) -> bool {
    let rest = location.strip_prefix("https://").or_else(|| location.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        is_authority(authority)
    })
}

fn is_authority(authority: &str) -> bool {
    !authority.is_empty()
        && authority.len() <= 260
        && authority.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']')
        })
}

/// Whether a text can be an origin: scheme, host, perhaps a port and a path, and nothing else.
pub fn check_origin(origin: &str) -> Result<(), String> {
    let is_fine =
        check_location(origin) && is_text(origin) && !origin.contains(['?', '#', '*', '@']);
    if is_fine {
        Ok(())
    } else {
        Err(format!(
            "`{origin}` is no origin, such as `https://www.example.com` or `https://www.example.com/v2`"
        ))
    }
}
