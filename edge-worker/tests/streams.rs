//! Streams and freshness of the portable service: what is said when, without waiting for anything.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use edge_worker::environments::Next;
use edge_worker::request::{Headers, Patience, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::stream::{Beat, Feed, Opened};
use edge_worker::trust::PublicKeys;
use eval_core::source::{ConfigSource, SwitchbackSource};
use serde_json::{Value, json};
use source::{CLIENT_KEY, ENVIRONMENT, SERVER_KEY, STARTS_AT_MS};

const NOW_MS: i64 = 1_795_170_600_000;

fn service(max_streams: usize) -> Service {
    Service::new(ServiceConfig { max_streams, ..ServiceConfig::default() })
}

fn hold(service: &Service, source: &ConfigSource, generation: u64) {
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(generation);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("a newer pointer is followed")
    };
    let blob = source::encode(source, generation, NOW_MS - 5000).expect("the fixture compiles");
    assert!(environment.offer(&pointer, blob, true, NOW_MS));
}

fn publish(service: &Service, generation: u64) {
    hold(service, &source::source(generation), generation);
}

fn get<'r>(key: &'r str, query: &'r str) -> Request<'r> {
    let headers = Headers { x_sdk_key: Some(key), ..Headers::default() };
    Request {
        method: "GET",
        path: "/v1/stream",
        query,
        headers,
        now_ms: NOW_MS,
        ..Request::default()
    }
}

fn open(service: &Service, request: Request<'_>) -> Opened {
    match service.handle(&request) {
        Outcome::Stream(opened) => *opened,
        other => panic!("no stream but {other:?}"),
    }
}

fn answer(service: &Service, request: Request<'_>) -> Answer {
    match service.handle(&request) {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

fn text(beat: &Beat) -> &str {
    std::str::from_utf8(&beat.bytes).expect("events are text")
}

/// The events of some text: name, id and data of each.
fn events(text: &str) -> Vec<(String, String, Value)> {
    let blocks = text.split("\n\n").filter(|block| block.contains("data: "));
    let event = |block: &str| {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().to_owned()
        };
        let data = serde_json::from_str(&field("data: ")).expect("data is JSON");
        (field("event: "), field("id: "), data)
    };
    blocks.map(event).collect()
}

/// Advances until the feed says something other than a heartbeat, at most five seconds.
fn said(feed: &mut Feed, service: &Service, from_ms: i64) -> (i64, Beat) {
    (from_ms..from_ms + 5000)
        .step_by(5)
        .map(|now_ms| (now_ms, feed.advance(service, now_ms)))
        .find(|(_, beat)| beat.bytes.len() > 3)
        .expect("something is said")
}

#[test]
fn a_stream_tells_a_new_client_the_generation_and_everyone_the_next_one() {
    let service = service(10);
    publish(&service, 42);
    let Opened { head, mut feed } = open(&service, get(CLIENT_KEY, ""));
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store, no-transform"));

    let first = feed.advance(&service, NOW_MS);
    let retry_ms = text(&first).strip_prefix("retry: ").and_then(|rest| rest.split_once('\n'));
    let retry_ms: u32 = retry_ms.expect("it begins with it").0.parse().expect("a number");
    assert!((1000..=4000).contains(&retry_ms), "{retry_ms}");
    let [(name, id, data)] = &events(text(&first))[..] else { panic!("{first:?}") };
    assert_eq!(
        (name.as_str(), data),
        ("config", &json!({"generation": 42, "created_at_ms": NOW_MS - 5000}))
    );
    assert!(id.starts_with("42."), "{id}");

    publish(&service, 43);
    let (_, beat) = said(&mut feed, &service, NOW_MS + 1);
    let [(config, _, generation), (message, id, data)] = &events(text(&beat))[..] else {
        panic!("{beat:?}")
    };
    assert_eq!((config.as_str(), &generation["generation"]), ("config", &json!(43)));
    assert_eq!(message, "message");
    assert_eq!(
        data,
        &json!({"type": "refetchEvaluation", "etag": id, "lastModified": (NOW_MS - 5000) / 1000})
    );
    let after = feed.advance(&service, NOW_MS + 6000);
    assert_eq!((text(&after), after.is_over), ("", false));
}

#[test]
fn a_client_that_comes_back_hears_only_what_it_does_not_know() {
    let service = service(10);
    publish(&service, 42);
    let mut first = open(&service, get(CLIENT_KEY, "")).feed;
    let current = events(text(&first.advance(&service, NOW_MS)))[0].1.clone();
    let since = format!("key={CLIENT_KEY}&since={current}");
    let cases = [
        // Last-Event-ID, query, names of the events, and whether an id comes alone.
        (Some(current.as_str()), "", vec![], true),
        (None, since.as_str(), vec![], true),
        (Some(current.as_str()), "since=41.0", vec![], true),
        (Some("41.0"), since.as_str(), vec!["config", "message"], false),
        (None, "since=0.0", vec!["config", "message"], false),
        (Some("42.0"), "", vec!["message"], false),
        // An edge that is behind says nothing, and lets the client keep what it knows.
        (Some("43.1"), "", vec![], true),
        (Some("nonsense"), "since=nonsense", vec!["config"], false),
    ];
    for (last_event_id, query, names, has_id) in cases {
        let mut request = get(CLIENT_KEY, query);
        request.headers.last_event_id = last_event_id;
        let mut feed = open(&service, request).feed;
        let beat = feed.advance(&service, NOW_MS);
        let found: Vec<String> = events(text(&beat)).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(found, names, "{last_event_id:?} {query}");
        let id = last_event_id.filter(|id| id.contains('.')).unwrap_or(&current);
        assert_eq!(text(&beat).contains(&format!("\n\nid: {id}\n\n")), has_id, "{beat:?}");
    }
}

#[test]
fn a_schedule_and_a_switchback_are_told_to_those_who_evaluate_and_not_to_those_who_hold_a_config() {
    let service = service(10);
    let mut source = source::source(1);
    publish(&service, 1);
    let mut feed = open(&service, get(CLIENT_KEY, "")).feed;
    let _ = feed.advance(&service, STARTS_AT_MS - 1000);
    let (at_ms, beat) = said(&mut feed, &service, STARTS_AT_MS);
    assert!(at_ms > STARTS_AT_MS, "clocks differ a little");
    let names: Vec<String> = events(text(&beat)).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["message"]);

    let experiment = source.experiments.iter_mut().find(|experiment| experiment.key == "visitors");
    let experiment = experiment.expect("the fixture has it");
    experiment.sticky = false;
    experiment.switchback =
        Some(SwitchbackSource { period_ms: 3_600_000, anchor_ms: 0, cluster: "region".to_owned() });
    hold(&service, &source, 2);
    let _ = said(&mut feed, &service, STARTS_AT_MS + 2000);
    let next_slice_ms = (STARTS_AT_MS / 3_600_000 + 1) * 3_600_000;
    let (_, beat) = said(&mut feed, &service, next_slice_ms);
    assert_eq!(events(text(&beat)).len(), 1, "{beat:?}");
}

#[test]
fn silence_is_broken_by_comments() {
    let service = service(10);
    publish(&service, 1);
    let mut feed = open(&service, get(CLIENT_KEY, "")).feed;
    let mut now_ms = NOW_MS;
    let mut n_comments = 0;
    let _ = feed.advance(&service, now_ms);
    for _ in 0..8 {
        let beat = feed.advance(&service, now_ms);
        if beat.bytes == b":\n\n" {
            n_comments += 1;
        }
        assert!(beat.wake_at_ms > now_ms, "it asks for rest");
        now_ms = beat.wake_at_ms;
    }
    assert!((3..=8).contains(&n_comments), "{n_comments}");
    assert!(now_ms - NOW_MS < 8 * 60_000, "proxies end what is silent for a minute");
}

#[test]
fn a_stream_that_waits_for_the_first_config_hears_of_it() {
    let service = service(10);
    let environment = service.environments().get(ENVIRONMENT, NOW_MS);
    environment.fail("the store is down", NOW_MS);
    let mut feed = open(&service, get(CLIENT_KEY, "")).feed;
    assert!(events(text(&feed.advance(&service, NOW_MS))).is_empty());
    publish(&service, 7);
    let (_, beat) = said(&mut feed, &service, NOW_MS + 1);
    let names: Vec<String> = events(text(&beat)).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["config", "message"]);
}

#[test]
fn a_key_that_is_taken_back_ends_the_stream() {
    let service = service(10);
    publish(&service, 1);
    let mut feed = open(&service, get(CLIENT_KEY, "")).feed;
    let _ = feed.advance(&service, NOW_MS);
    let mut source = source::source(2);
    source.sdk_keys.retain(|key| key.kind == eval_core::source::KeyKind::Server);
    hold(&service, &source, 2);
    assert!(feed.advance(&service, NOW_MS + 1).is_over);
    assert_eq!(answer(&service, get(CLIENT_KEY, "")).status, 401);
}

#[test]
fn streams_are_limited_and_their_places_are_given_back() {
    let service = service(2);
    publish(&service, 1);
    let first = open(&service, get(CLIENT_KEY, ""));
    let second = open(&service, get(SERVER_KEY, ""));
    let refused = answer(&service, get(CLIENT_KEY, ""));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let ready = Request { path: "/readyz", ..get("", "") };
    let ready: Value = serde_json::from_slice(&answer(&service, ready).body).expect("JSON");
    assert_eq!(ready["streams"], json!({"open": 2, "opened": 2}));
    drop((first, second));
    assert_eq!(service.n_streams(), 0);
    drop(open(&service, get(CLIENT_KEY, "")));
}

#[test]
fn many_streams_are_told_one_after_the_other() {
    let service = service(2000);
    publish(&service, 1);
    let mut feeds: Vec<Feed> =
        (0..1000).map(|_| open(&service, get(CLIENT_KEY, "")).feed).collect();
    for feed in &mut feeds {
        let _ = feed.advance(&service, NOW_MS);
    }
    publish(&service, 2);
    let at_once = feeds.iter_mut().filter_map(|feed| {
        let beat = feed.advance(&service, NOW_MS + 1);
        (!events(text(&beat)).is_empty()).then_some(())
    });
    assert!(at_once.count() < 100, "not all at once");
    let told = feeds.iter_mut().filter_map(|feed| {
        let beat = feed.advance(&service, NOW_MS + 502);
        (!events(text(&beat)).is_empty()).then_some(())
    });
    assert!(told.count() > 900, "half a millisecond for each");
}

#[test]
fn a_stream_needs_a_key_and_browsers_may_have_it_in_the_url() {
    let service = service(10);
    publish(&service, 1);
    assert_eq!(answer(&service, get("", "")).status, 401);
    let wrong = CLIENT_KEY.replace("bbbb", "cccc");
    assert_eq!(answer(&service, get(&wrong, "")).status, 401);
    assert_eq!(answer(&service, get("nonsense", "")).status, 503, "of which environment?");
    assert_eq!(answer(&service, get("", &format!("key={SERVER_KEY}"))).status, 401);
    let mut request = get("", "");
    let query = format!("key={CLIENT_KEY}");
    request.query = &query;
    request.headers.origin = Some("https://shop.example");
    let head = open(&service, request).head;
    assert_eq!(head.header("access-control-allow-origin"), Some("https://shop.example"));
    let head = answer(&service, Request { method: "HEAD", ..request });
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(answer(&service, Request { method: "POST", ..request }).status, 405);
    assert_eq!(service.n_streams(), 0);
}

fn bulk(
    service: &Service,
    key: &str,
    query: &str,
    tag: Option<&str>,
    has_freshened: bool,
) -> Outcome {
    let headers = Headers { x_sdk_key: Some(key), if_none_match: tag, ..Headers::default() };
    service.handle(&Request {
        method: "POST",
        path: "/ofrep/v1/evaluate/flags",
        query,
        headers,
        body: br#"{"context":{"targetingKey":"u-1"}}"#,
        now_ms: NOW_MS,
        patience: if has_freshened { Patience::Loads } else { Patience::Full },
        ..Request::default()
    })
}

fn flags(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

#[test]
fn bulk_answers_name_the_stream_that_goes_on_where_they_end() {
    let service = service(10);
    publish(&service, 3);
    let answered: Value =
        serde_json::from_slice(&flags(bulk(&service, CLIENT_KEY, "", None, false)).body)
            .expect("JSON");
    let stream = &answered["eventStreams"][0];
    assert_eq!((&stream["type"], &stream["inactivityDelaySec"]), (&json!("sse"), &json!(120)));
    assert_eq!(
        answered["metadata"],
        json!({"generation": 3, "exposure_endpoint": "/v1/exposures"})
    );
    let uri = stream["endpoint"]["requestUri"].as_str().expect("a text");
    let (path, query) = uri.split_once('?').expect("a query");
    assert_eq!(path, "/v1/stream");
    let mut feed = open(&service, get("", query)).feed;
    assert!(events(text(&feed.advance(&service, NOW_MS))).is_empty(), "nothing is new");

    let of_server: Value =
        serde_json::from_slice(&flags(bulk(&service, SERVER_KEY, "", None, false)).body)
            .expect("JSON");
    assert_eq!(of_server.get("eventStreams"), None, "a server key may not stand in a URL");
    let without = Service::new(ServiceConfig { max_streams: 0, ..ServiceConfig::default() });
    publish(&without, 3);
    let answered: Value =
        serde_json::from_slice(&flags(bulk(&without, CLIENT_KEY, "", None, false)).body)
            .expect("JSON");
    assert_eq!(answered.get("eventStreams"), None);
}

#[test]
fn a_client_that_was_told_of_a_newer_config_makes_the_edge_look_first_and_never_gets_a_304_for_it()
{
    let service = service(10);
    publish(&service, 3);
    let first = flags(bulk(&service, CLIENT_KEY, "", None, false));
    let tag = first.header("etag").expect("a tag");
    let edition = tag.trim_matches('"').rsplit_once('.').expect("an edition and a hash").0;
    let created_s = (NOW_MS - 5000) / 1000;

    // Whatever the query says, it makes no 304 of a 200.
    for query in
        ["", "flagConfigEtag=3.0", &format!("flagConfigEtag={edition}"), "flagConfigEtag=2.1"]
    {
        assert_eq!(flags(bulk(&service, CLIENT_KEY, query, Some("\"2.0.0\""), false)).status, 200);
    }
    // Told of what is held, or of nothing that can be read: as without.
    for query in [
        "flagConfigEtag=2.1".to_owned(),
        "flagConfigEtag=unreadable".to_owned(),
        "flagConfigEtag=".to_owned(),
        format!("flagConfigEtag={edition}"),
        format!("flagConfigEtag=%22{edition}%22&flagConfigLastModified={}", created_s + 99),
        format!("flagConfigLastModified={created_s}"),
    ] {
        assert_eq!(
            flags(bulk(&service, CLIENT_KEY, &query, Some(tag), false)).status,
            304,
            "{query}"
        );
    }
    // Told of something newer: the shell looks for it, and what comes is a 200.
    for query in [
        "flagConfigEtag=4.0".to_owned(),
        "flagConfigEtag=%224.0%22".to_owned(),
        format!("flagConfigLastModified={}", created_s + 1),
    ] {
        let Outcome::Freshen(wanted) = bulk(&service, CLIENT_KEY, &query, Some(tag), false) else {
            panic!("{query} is newer")
        };
        assert_eq!(
            (wanted.environment.id(), wanted.held, wanted.is_here()),
            (ENVIRONMENT, 3, false)
        );
        assert_eq!(
            flags(bulk(&service, CLIENT_KEY, &query, Some(tag), true)).status,
            200,
            "{query}"
        );
    }
    // Told of another time of the same generation: this edge's clock may be behind.
    assert_eq!(
        flags(bulk(&service, CLIENT_KEY, "flagConfigEtag=3.1", Some(tag), false)).status,
        200
    );
    publish(&service, 4);
    let answered = flags(bulk(&service, CLIENT_KEY, "flagConfigEtag=4.0", Some(tag), false));
    let answered: Value = serde_json::from_slice(&answered.body).expect("JSON");
    assert_eq!(answered["metadata"]["generation"], 4);
}

#[test]
fn who_freshens_looks_once_and_not_again_at_once() {
    let service = service(10);
    publish(&service, 3);
    let Outcome::Freshen(wanted) = bulk(&service, CLIENT_KEY, "flagConfigEtag=4.0", None, false)
    else {
        panic!("it is newer")
    };
    assert!(!wanted.begin_load(NOW_MS + 50), "somebody looked just now");
    assert!(wanted.begin_load(NOW_MS + 100));
    assert!(!wanted.begin_load(NOW_MS + 300), "somebody is at it");
    publish(&service, 4);
    assert!(wanted.is_here());
}

#[test]
fn an_edge_that_holds_nothing_looks_for_what_a_client_has_heard_of() {
    let service = service(10);
    let Outcome::Load(environment) = bulk(&service, CLIENT_KEY, "", None, false) else {
        panic!("nothing was tried yet")
    };
    environment.fail("the store is down", NOW_MS);
    let empty = flags(bulk(&service, CLIENT_KEY, "", None, false));
    let tag = empty.header("etag").expect("a tag");
    assert!(tag.starts_with("\"0.") && tag.ends_with('"'), "{tag}");
    assert_eq!(flags(bulk(&service, CLIENT_KEY, "", Some(tag), false)).status, 304);
    for query in ["flagConfigEtag=1.0", "flagConfigLastModified=1771622898"] {
        let Outcome::Freshen(wanted) = bulk(&service, CLIENT_KEY, query, Some(tag), false) else {
            panic!("{query} is newer than nothing")
        };
        assert_eq!(
            (wanted.environment.id(), wanted.held, wanted.is_here()),
            (ENVIRONMENT, 0, false)
        );
        let answered = flags(bulk(&service, CLIENT_KEY, query, Some(tag), true));
        assert_eq!(answered.status, 200, "{query}: what it says makes no 304");
    }
    publish(&service, 1);
    let answered = flags(bulk(&service, CLIENT_KEY, "flagConfigEtag=1.0", Some(tag), false));
    assert_eq!(answered.status, 200, "a config is another answer");
    assert_ne!(answered.header("etag"), Some(tag));
}
