//! Routes through compiling and the blob: what matches, in which order, and what is refused.

mod support;

use eval_core::route::{Actions, Redirect, RequestPath, RouteSource, VariantActions};
use eval_core::source::ConfigSource;
use eval_core::{CompileError, blob, compile};
use support::{config, experiment};

fn route(key: &str, hosts: &[&str], paths: &[&str]) -> RouteSource {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    RouteSource {
        key: key.to_owned(),
        hosts: texts(hosts),
        paths: texts(paths),
        ..RouteSource::default()
    }
}

fn origin(url: &str) -> Actions<String> {
    Actions { origin: Some(url.to_owned()), ..Actions::default() }
}

fn with(routes: Vec<RouteSource>) -> ConfigSource {
    ConfigSource { experiments: vec![experiment("checkout")], routes, ..config() }
}

fn on_checkout(mut route: RouteSource) -> RouteSource {
    route.experiment = Some("checkout".to_owned());
    route.variants = vec![VariantActions {
        variant: "treatment".to_owned(),
        actions: origin("https://v2.example.com/"),
    }];
    route
}

#[test]
fn every_matching_route_is_found_once_and_the_most_specific_first() {
    let source = with(vec![
        RouteSource { base: origin("https://www.example.com"), ..route("all", &[], &[]) },
        route("site", &["www.example.com", "*.example.com"], &["/**"]),
        on_checkout(route("checkout", &[], &["/checkout/**", "/checkout/*"])),
        route("other host", &["other.example"], &["/checkout/**"]),
    ]);
    let compiled = compile(&source).unwrap();
    let bytes = blob::encode(&compiled, 7, 0);
    let (_, read) = blob::decode(&bytes).unwrap();
    assert_eq!(read.routes(), compiled.routes());
    assert_eq!(read.faults(), []);
    let path = RequestPath::parse("/checkout/pay").unwrap();
    let found = read.routes().matching("WWW.Example.com", &path);
    let keys: Vec<&str> = found.iter().map(|matched| matched.route.key.as_ref()).collect();
    assert_eq!(keys, ["site", "checkout", "all"]);
    let checkout = &found[1];
    assert_eq!((checkout.control, checkout.pattern), ("control", "/checkout/*"));
    let treatment = checkout.route.actions_of("treatment").unwrap();
    assert_eq!(treatment.origin.as_deref(), Some("https://v2.example.com"));
    assert!(checkout.route.varies_origin() && !found[2].route.varies_origin());
    assert_eq!(
        read.variant_named("checkout", "treatment").map(|(name, _)| name),
        Some("treatment")
    );
    assert_eq!(read.variant_named("checkout", "nobody"), None);
}

#[test]
fn a_config_without_routes_has_not_a_byte_of_them() {
    let without = blob::encode(&compile(&with(Vec::new())).unwrap(), 1, 0);
    let with = blob::encode(&compile(&with(vec![route("r", &[], &[])])).unwrap(), 1, 0);
    assert!(with.len() > without.len());
    assert!(blob::decode(&without).unwrap().1.routes().is_empty());
}

#[test]
fn the_order_of_definitions_does_not_matter() {
    let routes =
        vec![route("b", &[], &["/x/**"]), route("a", &[], &["/x/**"]), route("c", &[], &["/x"])];
    let mut reversed = routes.clone();
    reversed.reverse();
    let bytes = |routes| blob::encode(&compile(&with(routes)).unwrap(), 1, 0);
    assert_eq!(bytes(routes), bytes(reversed));
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let actions = |actions| RouteSource { base: actions, ..route("r", &[], &["/a/*"]) };
    let redirect = |status, location: &str| {
        actions(Actions {
            redirect: Some(Redirect { status, location: location.to_owned() }),
            ..Actions::default()
        })
    };
    let path = |path: &str| actions(Actions { path: Some(path.to_owned()), ..Actions::default() });
    let header = |name: &str, value: &str| {
        actions(Actions {
            request_headers: vec![(name.to_owned(), value.to_owned())],
            ..Actions::default()
        })
    };
    let refused = [
        route("", &[], &[]),
        route("r", &["*"], &[]),
        route("r", &["a b"], &[]),
        route("r", &["*.*.com"], &[]),
        route("r", &[], &["a"]),
        route("r", &[], &["/a?b"]),
        route("r", &[], &["/**/a/**"]),
        route("r", &[], &["/a**"]),
        route("r", &[], &["/*-*"]),
        route("r", &[], &["/a/../b"]),
        actions(origin("ftp://a")),
        actions(origin("https://user@a")),
        actions(origin("https://a?b")),
        actions(origin("https://")),
        actions(origin("//a")),
        path("b"),
        path("/b?c"),
        path("/*/*"),
        path("/**"),
        redirect(200, "/b"),
        redirect(302, "//evil.example"),
        redirect(302, "javascript:alert(1)"),
        redirect(302, "/\\evil.example"),
        header("Host", "a"),
        header("host", "a"),
        header("x-sortition-hops", "0"),
        header("a", "b\r\nc: d"),
        RouteSource { experiment: None, ..on_checkout(route("r", &[], &[])) },
    ];
    for route in refused {
        let error = compile(&with(vec![route.clone()])).unwrap_err();
        assert!(matches!(error, CompileError::Value { .. }), "{route:?}: {error}");
    }
    let unknown = RouteSource { experiment: Some("nobody".to_owned()), ..route("r", &[], &[]) };
    assert!(matches!(compile(&with(vec![unknown])), Err(CompileError::Unknown { .. })));
    let mut variant = on_checkout(route("r", &[], &[]));
    variant.variants[0].variant = "nobody".to_owned();
    assert!(matches!(compile(&with(vec![variant])), Err(CompileError::Unknown { .. })));
    let twice = vec![route("r", &[], &[]), route("r", &[], &[])];
    assert!(matches!(compile(&with(twice)), Err(CompileError::Duplicate { .. })));
    for fine in [redirect(307, "https://other.example/*?a=b"), path("/b/*"), header("x-a", "")] {
        compile(&with(vec![fine])).unwrap();
    }
}

#[test]
fn a_damaged_section_of_routes_is_refused_and_never_panics() {
    let compiled =
        compile(&with(vec![on_checkout(route("r", &["a.example"], &["/a/**"]))])).unwrap();
    let bytes = blob::encode(&compiled, 1, 0);
    let body = &bytes[blob::HEADER_BYTES..];
    for at in body.len() - 60..body.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = body.to_vec();
            damaged[at] = value;
            let framed = blob::frame(blob::FORMAT_VERSION, compiled.environment(), 1, 0, &damaged);
            if let Ok((_, read)) = blob::decode(&framed) {
                read.routes().matching("a.example", &RequestPath::parse("/a/b").unwrap());
            }
        }
        let framed = blob::frame(blob::FORMAT_VERSION, compiled.environment(), 1, 0, &body[..at]);
        assert!(blob::decode(&framed).is_err());
    }
}
