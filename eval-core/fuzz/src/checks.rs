//! What must hold for every input whatsoever. Fuzzing looks for an input for which it does not; a test repeats the inputs
//! that are kept in `corpus/`.

use eval_core::source::{
    BucketRange, Condition, ConfigSource, ExperimentSource, ExperimentStatus, FlagSource, Literal,
    PauseBehaviour, RuleSource, Serve, VariantSource,
};
use eval_core::targeting::Operator;
use eval_core::{AttributeValue, CompiledConfig, Context, Decision, Request, blob, compile};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const LIST_KEY: [u8; 32] = [7; 32];

/// A blob, or the body of one under a right header and checksum: what decodes can be evaluated.
pub(crate) fn blob(input: &[u8]) {
    decode_and_decide(input);
    // The header repeats the environment, with which the body begins: its length and its bytes.
    let name = input.split_first().and_then(|(&len, rest)| rest.get(..usize::from(len)));
    let name = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
    for format_version in 1..=blob::FORMAT_VERSION {
        decode_and_decide(&blob::frame(format_version, name, 1, 1, input));
    }
}

fn decode_and_decide(bytes: &[u8]) {
    let Ok((header, config)) = blob::decode(bytes) else { return };
    let again = blob::encode(&config, header.generation, header.created_at_ms);
    let _ = blob::decode(&again);
    let context = Context::new()
        .unit("user_id", "u1")
        .unit("anonymous_id", "a-2")
        .attribute("country", "US")
        .attribute("age", 33.0)
        .attribute("consent", true)
        .attribute("region", "eu")
        .prior("e0", "a");
    for now_ms in [0, 1500] {
        agree(&config, &context, now_ms);
        agree(&config, &Context::new(), now_ms);
    }
}

/// Deciding a key alone, among all others, and with an explanation comes to the same.
fn agree(config: &CompiledConfig<'_>, context: &Context<'_>, now_ms: i64) {
    let mut alone = Request::new(config, context, Some(&LIST_KEY), now_ms);
    let mut keys = config.keys();
    Request::new(config, context, Some(&LIST_KEY), now_ms).evaluate_all(|decision| {
        sound(decision);
        let key = keys.next().expect("one decision for every key");
        let single = alone.evaluate(key);
        // Where two entries of a damaged config have one key, the first one answers.
        if config.faults().is_empty() {
            assert_eq!(*decision, single, "{key}");
        }
        assert_eq!(alone.explain(key).0, single, "{key}");
    });
    assert_eq!(keys.next(), None);
}

fn sound(decision: &Decision<'_>) {
    assert_eq!(decision.enrolled(), decision.exposure().is_some());
    assert!(!decision.enrolled() || decision.variant().is_some());
    assert_eq!(decision.value().map(str::as_bytes), decision.value_bytes());
}

/// A context from JSON, against every operator.
pub(crate) fn context(input: &[u8]) {
    static CONFIG: LazyLock<CompiledConfig<'static>> = LazyLock::new(every_operator);
    let Ok(value) = serde_json::from_slice::<AttributeValue<'_>>(input) else { return };
    let context =
        Context::new().unit("user_id", String::from_utf8_lossy(input)).attribute("a", value);
    agree(&CONFIG, &context, 0);
}

/// An experiment for every operator and operand that go together.
fn every_operator() -> CompiledConfig<'static> {
    let texts = ["a", "10.0.0.0/8", "1.2.3", "2026-01-01T00:00:00Z", "[a-z]+x?", "true"];
    let mut source = ConfigSource { environment: "e".into(), ..ConfigSource::default() };
    for op in Operator::ALL {
        for (at, text) in texts.iter().enumerate() {
            for literal in
                [Literal::String((*text).into()), Literal::Number(at as f64), Literal::Bool(true)]
            {
                let values = if *op == Operator::Exists { vec![] } else { vec![literal] };
                let condition =
                    Condition::Compare { attribute: "a".into(), op: op.as_str().into(), values };
                let experiment = experiment(&source.experiments.len().to_string(), condition);
                let alone = ConfigSource {
                    environment: "e".into(),
                    experiments: vec![experiment.clone()],
                    ..ConfigSource::default()
                };
                if compile(&alone).is_ok() {
                    source.experiments.push(experiment);
                }
            }
        }
    }
    compile(&source).expect("each experiment was tried")
}

/// A condition and a context, both made from the input: evaluating it is evaluating its opposite's opposite.
pub(crate) fn condition(input: &[u8]) {
    let mut bytes = Bytes(input);
    let condition = bytes.condition(0);
    let mut context = Context::new().unit("user_id", bytes.text());
    for name in ["a", "b", "c"] {
        if bytes.byte() % 4 > 0 {
            context = context.attribute(name, bytes.value(0));
        }
    }
    let mut source = ConfigSource { environment: "e".into(), ..ConfigSource::default() };
    source.experiments.push(experiment("yes", condition.clone()));
    source.experiments.push(experiment("no", Condition::Not(Box::new(condition.clone()))));
    source.flags.push(flag(condition));
    let Ok(config) = compile(&source) else { return };
    let bytes = blob::encode(&config, 1, 1);
    let (_, travelled) = blob::decode(&bytes).expect("what was encoded decodes");
    agree(&travelled, &context, 0);
    let mut before = Request::new(&config, &context, None, 0);
    let mut after = Request::new(&travelled, &context, None, 0);
    for key in ["yes", "no", "flag"] {
        assert_eq!(before.evaluate(key), after.evaluate(key), "{key}");
    }
    let [yes, no] = ["yes", "no"].map(|key| before.evaluate(key).enrolled());
    if context.unit_id("user_id").is_some() {
        assert_ne!(yes, no, "a condition holds or its opposite does");
        assert_eq!(before.evaluate("flag").variant() == Some("on"), yes);
    }
}

fn variant(key: &str, ranges: Vec<BucketRange>) -> VariantSource {
    VariantSource { key: key.into(), value: format!("\"{key}\""), ranges }
}

fn experiment(key: &str, targeting: Condition) -> ExperimentSource {
    ExperimentSource {
        key: key.into(),
        flag_key: key.into(),
        salt: format!("{key:x>15}"),
        unit_type: "user_id".into(),
        status: ExperimentStatus::Running,
        pause_behaviour: PauseBehaviour::Control,
        starts_at: None,
        ends_at: None,
        shipped: None,
        sticky: false,
        frozen: false,
        layer: None,
        own_layer_salt: None,
        ranges: vec![BucketRange::ALL],
        holdouts: vec![],
        prerequisites: vec![],
        targeting: Some(targeting),
        overrides: BTreeMap::new(),
        variants: vec![variant("control", vec![BucketRange::ALL]), variant("other", vec![])],
        control: 0,
        switchback: None,
    }
}

fn flag(condition: Condition) -> FlagSource {
    FlagSource {
        key: "flag".into(),
        salt: "flag".into(),
        unit_type: "user_id".into(),
        enabled: true,
        variants: vec![variant("on", vec![]), variant("off", vec![])],
        default_variant: "off".into(),
        off_variant: "off".into(),
        holdouts: vec![],
        prerequisites: vec![],
        targets: BTreeMap::new(),
        rules: vec![RuleSource {
            salt: "rule".into(),
            condition: Some(condition),
            rollout: 10_000,
            serve: Serve::Variant("on".into()),
        }],
    }
}

/// Choices, read from the input; zeros when it is used up.
struct Bytes<'i>(&'i [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn text(&mut self) -> String {
        const KNOWN: [&str; 12] = [
            "",
            "a",
            "US",
            "checkout",
            "checkout/cart",
            "1.2.3",
            "1.2.3-rc.1+5",
            "10.1.2.3",
            "10.0.0.0/8",
            "2001:db8::/32",
            "2026-11-20T10:30:00.250+01:00",
            "^[a-z]+(x|y)?$",
        ];
        let choice = usize::from(self.byte());
        if let Some(known) = KNOWN.get(choice % 32) {
            return (*known).into();
        }
        let len = choice % 20;
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(taken).into_owned()
    }

    fn number(&mut self) -> f64 {
        match self.byte() % 8 {
            0 => 0.0,
            1 => -0.0,
            2 => f64::from(self.byte()),
            3 => 1_763_634_600_250.0,
            4 => f64::MAX,
            5 => f64::from(self.byte()) / 7.0,
            6 => f64::NAN,
            _ => -f64::from(self.byte()),
        }
    }

    fn literal(&mut self) -> Literal {
        match self.byte() % 4 {
            0 => Literal::Bool(self.byte() > 127),
            1 => Literal::Number(self.number()),
            _ => Literal::String(self.text()),
        }
    }

    fn value(&mut self, depth: usize) -> AttributeValue<'static> {
        match self.byte() % 6 {
            0 => (self.byte() > 127).into(),
            1 => self.number().into(),
            2 if depth == 0 => {
                let n = self.byte() % 5;
                AttributeValue::List((0..n).map(|_| self.value(1)).collect())
            }
            3 => AttributeValue::Opaque,
            _ => self.text().into(),
        }
    }

    fn condition(&mut self, depth: usize) -> Condition {
        let n = self.byte() % 4;
        match self.byte() % if depth > 4 { 4 } else { 8 } {
            4 => Condition::All((0..n).map(|_| self.condition(depth + 1)).collect()),
            5 => Condition::Any((0..n).map(|_| self.condition(depth + 1)).collect()),
            6 => Condition::Not(Box::new(self.condition(depth + 1))),
            _ => {
                let op = Operator::ALL.get(usize::from(self.byte()) % 24);
                let n = if self.byte() > 240 { 20 } else { n };
                Condition::Compare {
                    attribute: ["a", "b", "c"][usize::from(self.byte()) % 3].into(),
                    op: op.map_or("none", |op| op.as_str()).into(),
                    values: (0..n).map(|_| self.literal()).collect(),
                }
            }
        }
    }
}
