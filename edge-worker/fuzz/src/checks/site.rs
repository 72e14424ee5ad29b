//! A routed request with a QA link: whatever it holds, nothing leaves the edge that a header or a page could not hold.

use super::{KEYS, NOW_MS, edge, is_header_value};
use edge_worker::base64url;
use edge_worker::routing::{Edits, Head, Overrides, QA_NAME, Routed, Verdict};
use edge_worker::service::Service;

/// A QA token as a visitor might send it, and the payload of one that is rightly signed.
pub(crate) fn qa(input: &[u8]) {
    let service = edge();
    if let Ok(text) = std::str::from_utf8(input)
        && is_header_value(text)
    {
        assert_eq!(Overrides::read(text, &KEYS.qa, NOW_MS), None, "nobody else signs a link");
        visit(&service, text);
    }
    let mut signed = input.to_vec();
    KEYS.qa.seal(&mut signed);
    let token = base64url::encode(&signed);
    if let Some(overrides) = Overrides::read(&token, &KEYS.qa, NOW_MS) {
        let again = overrides.sign(&KEYS.qa);
        // Escapes may make it longer than a link may be.
        if let Some(read) = Overrides::read(&again, &KEYS.qa, NOW_MS) {
            assert_eq!(read, overrides);
        }
    }
    visit(&service, &token);
}

/// Opens pages with the token in the query, and in the cookie.
fn visit(service: &Service, token: &str) {
    for path in ["/", "/new/a", "/offer"] {
        // A query holds no spaces and no `#`, wherever it comes from.
        if token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            open(service, path, &format!("a=1&{QA_NAME}={token}&b=2"), "");
        }
        open(service, path, "", &format!("theme=dark; {QA_NAME}={token}"));
    }
}

fn open(service: &Service, path: &str, query: &str, cookie: &str) {
    let head = Head {
        method: "GET",
        scheme: "https",
        authority: "shop.example",
        path,
        query,
        headers: vec![("cookie", cookie), ("accept", "text/html")],
        client_ip: None,
        now_ms: NOW_MS,
    };
    let plan = match service.route(&head) {
        Routed::Fetch(plan) => plan,
        Routed::Answer(answer) => {
            assert_eq!(answer.status, 302);
            for (name, value) in &answer.headers {
                assert!(is_header_value(value), "{name}: {value:?}");
            }
            return;
        }
        other => panic!("neither a plan nor an answer, but {other:?}"),
    };
    for attempt in &plan.attempts {
        assert!(attempt.url.starts_with("https://origin.example.com/"), "{}", attempt.url);
        let is_ours = |pair: &str| pair.split('=').next() == Some(QA_NAME);
        assert!(!attempt.url.split(['?', '&']).skip(1).any(is_ours), "{}", attempt.url);
        sound(&attempt.edits);
    }
    let page = [("content-type", "text/html; charset=utf-8")];
    let Verdict::Send(answer) = service.answered(&plan, 0, 200, &page, false, NOW_MS) else {
        panic!("a page that came is sent on")
    };
    sound(&answer.edits);
    if let Some(script) = &answer.script {
        let text = std::str::from_utf8(script).expect("a script is plain text");
        let inner = text.strip_prefix("<script>").and_then(|t| t.strip_suffix("</script>"));
        let inner = inner.expect("one element");
        assert!(inner.is_ascii() && !inner.contains(['<', '>', '&']), "{inner}");
        let json = inner.strip_prefix("window.__SORTITION__=").expect("an assignment");
        assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
    }
}

fn sound(edits: &Edits) {
    for (name, value) in edits.set.iter().chain(&edits.append) {
        assert!(is_header_value(value), "{name}: {value:?}");
    }
}
