//! Requests out of a seed: every endpoint, every option, what clients send, and what no client should.

use crate::source::{CLIENT_KEY, ENVIRONMENT, SERVER_KEY, source};

/// The first request's time: 2026-11-20T10:30:00Z.
const BEGAN_MS: i64 = 1_795_170_600_000;
/// Answers' cookies, tags and tokens that are remembered.
const MAX_KEPT: usize = 64;

/// A request, in the form in which it crosses into Wasm.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_too_large: bool,
    pub(crate) now_ms: i64,
}

/// Splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Texts that answers handed out.
#[derive(Default)]
pub(crate) struct Kept(Vec<String>);

impl Kept {
    pub(crate) fn keep(&mut self, text: &[u8]) {
        if self.0.len() >= MAX_KEPT {
            self.0.remove(0);
        }
        self.0.push(String::from_utf8_lossy(text).into_owned());
    }

    /// One of them, sometimes with a changed character; empty when there is none.
    fn take(&self, dice: &mut Dice) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut text = self.0[dice.below(self.0.len())].clone();
        if dice.one_in(5) {
            let at = dice.below(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..=at, dice.pick(&["A", "0", "-", "%", "", ".", "\\\""]));
            }
        }
        text
    }
}

pub(crate) struct Generator {
    pub(crate) random: Dice,
    now_ms: i64,
    keys: Vec<String>,
    attributes: Vec<String>,
    pub(crate) tags: Kept,
    pub(crate) cookies: Kept,
    pub(crate) tokens: Kept,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let config = eval_core::compile(&source(1)).expect("the fixture compiles");
        let texts = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect();
        Self {
            random: Dice(seed),
            now_ms: BEGAN_MS,
            keys: texts(&mut config.keys()),
            attributes: texts(&mut config.attributes()),
            tags: Kept::default(),
            cookies: Kept::default(),
            tokens: Kept::default(),
        }
    }

    /// The next request.
    pub(crate) fn next(&mut self) -> Asked {
        let dice = &mut self.random;
        self.now_ms += match dice.below(1000) {
            0 => 86_400_000,
            1..=9 => 3_600_000,
            10..=99 => 5000,
            _ => i64::try_from(dice.below(40)).unwrap_or(0),
        };
        let is_ofrep = dice.below(100) < 45;
        let (method, path, query, body) = if is_ofrep { self.ofrep() } else { self.own() };
        let dice = &mut self.random;
        let method = if dice.one_in(60) {
            dice.pick(&["GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "get", ""])
        } else {
            method
        };
        let body = self.spoilt(body);
        let query = self.with_key(query);
        let headers = self.headers();
        let is_too_large = self.random.one_in(2000);
        Asked {
            head: format!("{method}\n{path}\n{query}\n{headers}"),
            body: if is_too_large { Vec::new() } else { body },
            is_too_large,
            now_ms: self.now_ms,
        }
    }

    fn ofrep(&mut self) -> (&'static str, String, String, String) {
        let flags = "/ofrep/v1/evaluate/flags";
        let path = if self.random.below(3) == 0 {
            flags.to_owned()
        } else {
            let key = self.key();
            format!("{flags}/{}", if self.random.one_in(8) { escaped(&key) } else { key })
        };
        let body = match self.random.below(20) {
            0 => "{}".to_owned(),
            1 => format!(r#"{{"context":{}}}"#, self.value(3)),
            2 => self.value(3),
            _ => format!(r#"{{"context":{}}}"#, self.context()),
        };
        let dice = &mut self.random;
        let query = match dice.below(24) {
            0 => format!("flagConfigEtag={}.{:x}", dice.below(45), dice.below(1000)),
            1 => format!("flagConfigEtag={}", escaped(&self.tags.take(dice))),
            2 => format!(
                "flagConfigLastModified={}",
                dice.pick(&["1795170600", "1795174200", "2026-11-21T00:00:00Z", "soon"])
            ),
            _ => String::new(),
        };
        ("POST", path, query, body)
    }

    fn own(&mut self) -> (&'static str, String, String, String) {
        let nothing = String::new;
        match self.random.below(100) {
            0..45 => {
                let query =
                    self.random.pick(&["", "", "", "explain=true", "explain", "explain=false"]);
                ("POST", "/v1/evaluate".to_owned(), query.to_owned(), self.evaluate_body())
            }
            45..60 => {
                let id = escaped(&self.unit());
                let mut query = Vec::new();
                let dice = &mut self.random;
                if dice.one_in(2) {
                    let at = dice.pick(&[
                        "1795170600000",
                        "2026-11-20T10:30:00Z",
                        "tomorrow",
                        "-1",
                        "1893456000000",
                    ]);
                    query.push(format!("at={at}"));
                }
                if dice.one_in(4) {
                    query.push(format!(
                        "generation={}",
                        dice.pick(&["1", "2", "3", "0", "x", "99"])
                    ));
                }
                if dice.one_in(4) {
                    query.push(format!(
                        "unit_type={}",
                        dice.pick(&["anonymous_id", "user_id", "none", "%ff"])
                    ));
                }
                let given = self.attributes();
                if self.random.one_in(2) {
                    query.push(format!("attributes={}", escaped(&given)));
                }
                let is_post = self.random.one_in(3);
                let body = if is_post { format!(r#"{{"attributes":{given}}}"#) } else { nothing() };
                let method = if is_post { "POST" } else { "GET" };
                (method, format!("/v1/units/{id}/assignments"), query.join("&"), body)
            }
            60..68 => {
                let has_heard = self.random.one_in(3);
                let query = if has_heard {
                    format!("flagConfigEtag={}.0", self.random.below(45))
                } else {
                    nothing()
                };
                ("GET", "/v1/config-bundle".to_owned(), query, nothing())
            }
            68..82 => {
                let path = self.random.pick(&[
                    "/v1/exposures",
                    "/v1/exposures",
                    "/v1/events/batch",
                    "/v1/metrics",
                ]);
                let body = if self.random.one_in(3) {
                    self.value(4)
                } else {
                    let n = self.random.below(4);
                    let tokens: Vec<String> = (0..n)
                        .map(|_| format!("\"{}\"", self.tokens.take(&mut self.random)))
                        .collect();
                    format!(r#"{{"tokens":[{}]}}"#, tokens.join(","))
                };
                ("POST", path.to_owned(), nothing(), body)
            }
            82..88 => {
                let query = self.random.pick(&[
                    "",
                    "",
                    "environment=production-k3v9x2mq",
                    "environment=a/b",
                    "environment=elsewhere",
                ]);
                ("GET", "/readyz".to_owned(), query.to_owned(), nothing())
            }
            88 => ("GET", "/healthz".to_owned(), nothing(), nothing()),
            89 => {
                let since = format!("since={}", self.random.below(45));
                let query = self.random.pick(&["", &since]).to_owned();
                ("GET", "/v1/stream".to_owned(), query, nothing())
            }
            90..96 => {
                let path = self.random.pick(&[
                    "/v1/evaluate",
                    "/ofrep/v1/evaluate/flags",
                    "/v1/config-bundle",
                    "/elsewhere",
                ]);
                ("OPTIONS", path.to_owned(), nothing(), nothing())
            }
            _ => {
                let path = self.random.pick(&[
                    "/",
                    "/v1",
                    "/v1/units/",
                    "/v1/units//assignments",
                    "/v1/units/%ff/assignments",
                    "/ofrep/v1/evaluate/flags/",
                    "/ofrep/v1/evaluate/flags/%",
                    "//",
                    "/v1/evaluate/",
                ]);
                ("POST", path.to_owned(), nothing(), self.value(2))
            }
        }
    }

    fn evaluate_body(&mut self) -> String {
        let mut members = Vec::new();
        let dice = &mut self.random;
        match dice.below(12) {
            0 => {}
            1 => members.push(format!(r#""unit_id":{}"#, quoted(&self.unit()))),
            _ => members.push(format!(r#""units":{}"#, self.units())),
        }
        if self.random.below(4) > 0 {
            members.push(format!(r#""attributes":{}"#, self.attributes()));
        }
        if self.random.below(3) > 0 {
            let n = self.random.below(5);
            let keys: Vec<String> = (0..n).map(|_| quoted(&self.key())).collect();
            members.push(format!(r#""keys":[{}]"#, keys.join(",")));
        }
        let dice = &mut self.random;
        if dice.one_in(2) {
            let mode = dice.pick(&[
                r#""log""#,
                r#""deferred""#,
                r#""deferred""#,
                r#""none""#,
                r#""never""#,
                "null",
                "1",
            ]);
            members.push(format!(r#""exposure":{mode}"#));
        }
        if dice.one_in(3) {
            members.push(format!(
                r#""cookie":{}"#,
                dice.pick(&["true", "true", "false", "null", "\"yes\""])
            ));
        }
        if dice.one_in(6) {
            let variant =
                dice.pick(&[r#""control""#, r#""treatment""#, r#""treatment_a""#, "null", "3"]);
            let key = self.key();
            members.push(format!(r#""prior":{{{}:{variant}}}"#, quoted(&key)));
        }
        format!("{{{}}}", members.join(","))
    }

    fn key(&mut self) -> String {
        if self.random.one_in(12) {
            return self
                .random
                .pick(&["", "nothing", "checkout ", "Checkout", "ключ", "a/b", "\u{1}"])
                .to_owned();
        }
        self.keys[self.random.below(self.keys.len())].clone()
    }

    fn unit(&mut self) -> String {
        match self.random.below(30) {
            0 => self
                .random
                .pick(&["", " ", "u-override", "u-target", "ünit 🎲", "\u{0}", "null"])
                .to_owned(),
            1 => "x".repeat(self.random.pick(&[255, 256, 257, 1024, 1025, 5000])),
            _ => format!("u-{}", self.random.below(5000)),
        }
    }

    fn units(&mut self) -> String {
        let mut units = Vec::new();
        for unit_type in ["user_id", "anonymous_id", "device_id", "nobody"] {
            if self.random.one_in(if unit_type == "user_id" { 2 } else { 3 }) {
                let unit =
                    if self.random.one_in(20) { self.value(1) } else { quoted(&self.unit()) };
                units.push(format!(r#""{unit_type}":{unit}"#));
            }
        }
        format!("{{{}}}", units.join(","))
    }

    fn context(&mut self) -> String {
        let attributes = self.attributes();
        if self.random.one_in(10) {
            return attributes;
        }
        let unit = if self.random.one_in(20) { self.value(1) } else { quoted(&self.unit()) };
        let rest = attributes.trim_start_matches('{');
        let comma = if rest == "}" { "" } else { "," };
        format!(r#"{{"targetingKey":{unit}{comma}{rest}"#)
    }

    fn attributes(&mut self) -> String {
        let n = self.random.below(6);
        let pairs: Vec<String> = (0..n)
            .map(|_| {
                let name = if self.random.one_in(10) {
                    self.random
                        .pick(&["", "page", "consent", "anonymous_id", "device_id", "\u{e9}"])
                        .to_owned()
                } else {
                    self.attributes[self.random.below(self.attributes.len())].clone()
                };
                let value = if self.random.one_in(2) { self.likely() } else { self.value(2) };
                format!("{}:{value}", quoted(&name))
            })
            .collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// A value that conditions look for.
    fn likely(&mut self) -> String {
        self.random
            .pick(&[
                "\"US\"",
                "\"CA\"",
                "\"DE\"",
                "\"web\"",
                "true",
                "false",
                "\"gold\"",
                "\"3.0.0\"",
                "\"2.9.1-rc.1\"",
                "5",
                "\"5\"",
                "[\"US\",\"gold\"]",
            ])
            .to_owned()
    }

    /// Any JSON value.
    fn value(&mut self, depth: usize) -> String {
        let dice = &mut self.random;
        match dice.below(if depth == 0 { 8 } else { 11 }) {
            0 => "null".to_owned(),
            1 => dice.pick(&["true", "false"]).to_owned(),
            2 => format!("{}", dice.next().cast_signed()),
            3 => format!("{:e}", f64::from_bits(dice.next()))
                .replace("NaN", "1e400")
                .replace("inf", "1e999"),
            4 => dice
                .pick(&[
                    "0",
                    "-0.0",
                    "1e400",
                    "-1e-400",
                    "0.1",
                    "18446744073709551616",
                    "1E+2",
                    "9007199254740993",
                    "2.5e-8",
                    "01",
                    "+1",
                    "1.",
                ])
                .to_owned(),
            5 => dice
                .pick(&[
                    "\"\\u0041\"",
                    "\"\\ud83c\\udfb2\"",
                    "\"\\ud800\"",
                    "\"a\\nb\"",
                    "\"\"",
                    "\"\\u0000\"",
                    "\"\\x\"",
                    "\"\t\"",
                ])
                .to_owned(),
            6 => format!("\"{}\"", "long ".repeat(dice.pick(&[1, 50, 300]))),
            7 => format!("\"{:x}\"", dice.next()),
            8 => {
                let items: Vec<String> =
                    (0..dice.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            9 => {
                let n = dice.below(4);
                let pairs: Vec<String> =
                    (0..n).map(|n| format!(r#""k{}":{}"#, n % 3, self.value(depth - 1))).collect();
                format!("{{{}}}", pairs.join(","))
            }
            _ => {
                let deep = dice.pick(&[5, 40, 127, 128, 129, 300]);
                format!("{}{}", "[".repeat(deep), "]".repeat(deep))
            }
        }
    }

    /// The body as it arrives: mostly whole, sometimes cut, changed, or something else.
    fn spoilt(&mut self, body: String) -> Vec<u8> {
        let dice = &mut self.random;
        let mut body = body.into_bytes();
        match dice.below(60) {
            0 => body.truncate(dice.below(body.len())),
            1 if !body.is_empty() => {
                let at = dice.below(body.len());
                body[at] ^= 1 << dice.below(8);
            }
            2 => body.insert(dice.below(body.len() + 1), dice.pick(b"{}[]\",:\\ \n\xff\x00")),
            3 => body = (0..dice.below(100)).map(|_| dice.next().to_le_bytes()[0]).collect(),
            4 => body.extend_from_slice(b" {}"),
            5 => body.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
            6 => body.clear(),
            _ => {}
        }
        if dice.one_in(20_000) {
            body.resize(1024 * 1024 + dice.below(3), b' ');
        }
        body
    }

    fn with_key(&mut self, query: String) -> String {
        let dice = &mut self.random;
        if !dice.one_in(12) {
            return query;
        }
        let key = dice.pick(&[CLIENT_KEY, CLIENT_KEY, SERVER_KEY, "", "nonsense"]);
        if query.is_empty() { format!("key={key}") } else { format!("{query}&key={key}") }
    }

    /// The values of `Headers::NAMES`, one a line.
    fn headers(&mut self) -> String {
        let dice = &mut self.random;
        let key = match dice.below(24) {
            0 => "nonsense".to_owned(),
            1 => "sk_client_elsewhere-aaaaaaaa_x".to_owned(),
            2 => format!("sk_client_{ENVIRONMENT}_wrong"),
            3 => String::new(),
            4..10 => SERVER_KEY.to_owned(),
            _ => CLIENT_KEY.to_owned(),
        };
        let (mut authorization, mut sdk_key, mut api_key) =
            (String::new(), String::new(), String::new());
        match dice.below(6) {
            0 => sdk_key = key,
            1 => api_key = key,
            2 => {
                authorization =
                    format!("{} {key}", dice.pick(&["bearer", "BEARER", "Basic", "Bearer "]));
            }
            _ => authorization = format!("Bearer {key}"),
        }
        let tag = match dice.below(10) {
            0 => self.tags.take(dice),
            1 => format!("W/{}, \"x\"", self.tags.take(dice)),
            2 => dice.pick(&["*", "\"", "x", "\"1\""]).to_owned(),
            _ => String::new(),
        };
        let origin =
            dice.pick(&["", "", "https://shop.example", "null", "https://other.example:8443"]);
        let content_type = dice.pick(&[
            "application/json",
            "application/json; charset=utf-8",
            "",
            "text/plain",
            "application/x-ndjson",
        ]);
        let encoding = dice.pick(&["", "", "", "", "gzip", "identity"]);
        let cookie = match dice.below(6) {
            0 | 1 => self.cookies.take(dice),
            2 => format!("a=b; {}; c", self.cookies.take(dice)),
            3 => dice
                .pick(&[
                    "sortition_id=",
                    "sortition_id=x",
                    "sortition_id=a.b.c; sortition_id=d",
                    ";;",
                    "=",
                    "sortition_consent=1",
                ])
                .to_owned(),
            _ => String::new(),
        };
        [&*authorization, &sdk_key, &api_key, &tag, origin, content_type, encoding, &cookie]
            .join("\n")
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// Percent-encoded, each byte.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
