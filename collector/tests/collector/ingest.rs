//! The way of an event from a request to the lake.

use std::collections::BTreeSet;
use std::io::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use collector::lake::Lake;
use collector::pseudonym::{PseudonymKey, PseudonymSecret};
use collector::schema::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::server::{BATCH, CLIENT_KEY, ENVIRONMENT, Home, PROJECT, counts, receipt};
use crate::support::{exposure, id_of, lake, lines, purchase};

fn open_lake(home: &Home) -> Lake {
    Lake::open(&format!("file://{}", home.store().display())).unwrap()
}

#[tokio::test]
async fn accepted_events_are_rows_of_the_lake_one_for_each_unit() {
    let home = Home::new();
    let collector = home.start().await;
    let events = [exposure("u-1", "treatment"), purchase("u-1", 59.9), purchase("u-2", 3.5)];
    assert_eq!(counts(&collector.send(lines(&events)).await), (3, 0, 0));
    collector.stop().await;

    let rows = lake::rows(&open_lake(&home)).await;
    assert_eq!(rows.len(), 4);
    let key = PseudonymKey::derive(&PseudonymSecret::new([7; 32]), PROJECT);
    for (event, kind, unit_type, unit_id) in [
        (&events[0], Kind::Exposure, "user_id", "u-1"),
        (&events[0], Kind::Exposure, "anonymous_id", "a-u-1"),
        (&events[1], Kind::Metric, "user_id", "u-1"),
        (&events[2], Kind::Metric, "user_id", "u-2"),
    ] {
        let pseudonym = key.pseudonym(unit_type, unit_id);
        let row = rows.iter().find(|row| {
            row.event_id == id_of(event) && row.unit_type.as_deref() == Some(unit_type)
        });
        let row = row.unwrap();
        assert_eq!((row.kind, row.unit_id), (kind, Some(pseudonym)));
        assert_eq!(row.unit_hash.to_be_bytes(), pseudonym[..8]);
        assert_eq!(row.env, ENVIRONMENT);
        let client: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(row.ts, client.as_microsecond());
    }
}

#[tokio::test]
async fn the_columns_hold_what_the_client_said() {
    let home = Home::new();
    let collector = home.start().await;
    let exposure = json!({
        "event_id": Uuid::now_v7(), "type": "exposure", "unit_id": "u-1", "experiment": "checkout",
        "flag": "checkout_flag", "variant": "treat\u{e9}", "layer": "main", "bucket": 9999,
        "reason": "split", "generation": 42, "evaluator_version": "1.2", "consent": true,
        "attributes": {"platform": "web", "age": 33, "beta": true, "gone": null, "esc": "a\"b"},
        "producer_id": "p-1", "producer_seq": 7, "sdk": "edge/0.1.0",
    });
    let metric = json!({
        "event_id": Uuid::now_v7(), "type": "metric", "units": {"user_id": "u-1"},
        "name": "purchase", "value": 0.1, "properties": {"currency": "USD", "items": [1, 2]},
    });
    let diagnostic = json!({"event_id": Uuid::now_v7(), "type": "diagnostic", "name": "sdk_error"});
    let receipt = collector.send(lines(&[exposure, metric, diagnostic])).await;
    assert_eq!(counts(&receipt), (3, 0, 0), "{receipt}");
    collector.stop().await;

    let lake = open_lake(&home);
    let snapshot = lake.snapshot().await.unwrap();
    for file in snapshot.all_files() {
        let [batch] = &lake::batches(lake.store(), file).await[..] else { panic!("one batch") };
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let word = |name: &str| {
            let words = column(name).as_dictionary::<Int32Type>();
            words.is_valid(0).then(|| words.values().as_string::<i32>().value(0).to_owned())
        };
        let map = |name: &str| {
            let entries = column(name).as_map().value(0);
            let (keys, values) =
                (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
            let entry = |row| format!("{}={}", keys.value(row), values.value(row));
            (0..entries.len()).map(entry).collect::<Vec<_>>()
        };
        match file.kind {
            Kind::Exposure => {
                assert_eq!(word("experiment_id").as_deref(), Some("checkout"));
                assert_eq!(word("flag_key").as_deref(), Some("checkout_flag"));
                assert_eq!(word("variant").as_deref(), Some("treat\u{e9}"));
                assert_eq!(word("layer_id").as_deref(), Some("main"));
                assert_eq!(word("reason").as_deref(), Some("split"));
                assert_eq!(word("evaluator_version").as_deref(), Some("1.2"));
                assert_eq!(word("holdout"), None);
                assert_eq!(column("bucket").as_primitive::<Int32Type>().value(0), 9999);
                assert_eq!(column("config_version").as_primitive::<Int64Type>().value(0), 42);
                assert_eq!(column("producer_seq").as_primitive::<Int64Type>().value(0), 7);
                assert!(column("consent").as_boolean().value(0));
                let sdk = column("sdk").as_struct();
                assert_eq!(sdk.column(1).as_string::<i32>().value(0), "0.1.0");
                let context = map("context");
                assert_eq!(context, ["age=33", "beta=true", "esc=a\"b", "platform=web"]);
            }
            Kind::Metric => {
                let value = column("value").as_primitive::<Float64Type>().value(0);
                assert_eq!(value.to_bits(), 0.1_f64.to_bits());
                assert_eq!(word("currency").as_deref(), Some("USD"));
                assert_eq!(map("properties"), ["currency=USD", "items=[1,2]"]);
            }
            Kind::Diagnostic => {
                assert_eq!(word("unit_type"), None);
                assert!(column("value").is_null(0));
            }
            Kind::Identify => panic!("none was sent"),
        }
    }
    assert_eq!(snapshot.all_files().count(), 3);
}

#[tokio::test]
async fn raw_unit_ids_are_nowhere_on_disk() {
    let home = Home::new();
    let mut settings = home.settings();
    settings.flush_interval = std::time::Duration::from_mins(1);
    let collector = crate::support::server::Collector::start(settings).await;
    let secret_id = "person-4711@example.org";
    assert_eq!(counts(&collector.send(lines(&[purchase(secret_id, 1.0)])).await), (1, 0, 0));
    let searched = files_with(home.dir.path(), secret_id.as_bytes());
    assert_eq!(searched.hits, Vec::<String>::new());
    assert!(searched.wal_bytes > 0, "the event is in the log");
    collector.stop().await;
    assert_eq!(files_with(home.dir.path(), secret_id.as_bytes()).hits, Vec::<String>::new());
}

#[derive(Default)]
struct Searched {
    hits: Vec<String>,
    wal_bytes: usize,
}

fn files_with(dir: &std::path::Path, needle: &[u8]) -> Searched {
    let mut searched = Searched::default();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "wal") {
                searched.wal_bytes += bytes.len();
            }
            if bytes.windows(needle.len()).any(|window| window == needle) {
                searched.hits.push(path.display().to_string());
            }
        }
    }
    searched
}

#[tokio::test]
async fn an_event_that_comes_again_is_counted_once() {
    let home = Home::new();
    let collector = home.start().await;
    let events: Vec<Value> = (0..10).map(|i| purchase("u-1", f64::from(i))).collect();
    let twice: Vec<Value> = events.iter().chain(&events).cloned().collect();
    assert_eq!(counts(&collector.send(lines(&twice)).await), (10, 10, 0));
    assert_eq!(counts(&collector.send(lines(&events)).await), (0, 10, 0));
    collector.stop().await;

    // A restart remembers, whether the events are in the log still or in the lake already.
    let collector = home.start().await;
    assert_eq!(counts(&collector.send(lines(&events)).await), (0, 10, 0));
    collector.stop().await;
    let stored = lake::event_counts(&open_lake(&home)).await;
    assert_eq!(stored.len(), 10);
    assert!(stored.values().all(|count| *count == 1));
}

#[tokio::test]
async fn lines_arrays_and_compressed_bodies_are_the_same_to_the_collector() {
    let home = Home::new();
    let collector = home.start().await;
    let mut sent = BTreeSet::new();
    let mut events = || {
        let events = [purchase("u-1", 1.0), purchase("u-2", 2.0)];
        sent.extend(events.iter().map(id_of));
        events
    };
    let array = json!(events()).to_string();
    let json = collector.request(BATCH).header("content-type", "application/json; charset=utf-8");
    assert_eq!(counts(&receipt(json.body(array).send().await.unwrap()).await), (2, 0, 0));
    assert_eq!(counts(&collector.send(format!("\r\n{}\r\n", lines(&events()))).await), (2, 0, 0));

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines(&events()).as_bytes()).unwrap();
    let zipped = zstd::encode_all(lines(&events()).as_bytes(), 3).unwrap();
    for (encoding, body) in [("gzip", gzip.finish().unwrap()), ("zstd", zipped)] {
        let request = collector.request(BATCH).header("content-encoding", encoding);
        let response = request.body(body).send().await.unwrap();
        assert_eq!(counts(&receipt(response).await), (2, 0, 0), "{encoding}");
    }
    let single = serde_json::to_string_pretty(&events()[0]).unwrap();
    let json = collector.request(BATCH).header("content-type", "application/json");
    assert_eq!(counts(&receipt(json.body(single).send().await.unwrap()).await), (1, 0, 0));
    collector.stop().await;
    let stored = lake::event_counts(&open_lake(&home)).await;
    assert_eq!(stored.len(), 9);
    assert!(stored.keys().all(|id| sent.contains(id)));
}

#[tokio::test]
async fn the_aliases_know_the_type_and_a_client_key_may_stand_in_the_url() {
    let home = Home::new();
    let collector = home.start().await;
    for (path, mut event, kind) in [
        ("/v1/exposures", exposure("u-1", "control"), Kind::Exposure),
        ("/v1/metrics", purchase("u-1", 1.0), Kind::Metric),
    ] {
        event.as_object_mut().unwrap().remove("type");
        let url = format!("{}{path}?key={CLIENT_KEY}", collector.base);
        let response = collector.client.post(url).body(event.to_string()).send().await.unwrap();
        assert_eq!(counts(&receipt(response).await), (1, 0, 0), "{kind}");
    }
    collector.stop().await;
    let rows = lake::rows(&open_lake(&home)).await;
    let kinds: BTreeSet<Kind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, BTreeSet::from([Kind::Exposure, Kind::Metric]));
}

#[tokio::test]
async fn a_batch_of_many_thousand_events_arrives_whole() {
    let home = Home::new();
    let collector = home.start().await;
    let events: Vec<Value> =
        (0..20_000).map(|i| purchase(&format!("u-{}", i % 700), f64::from(i))).collect();
    let body = zstd::encode_all(lines(&events).as_bytes(), 1).unwrap();
    let request = collector.request(BATCH).header("content-encoding", "zstd").body(body);
    assert_eq!(counts(&receipt(request.send().await.unwrap()).await), (20_000, 0, 0));
    collector.stop().await;
    let stored = lake::event_counts(&open_lake(&home)).await;
    assert_eq!(stored.len(), 20_000);
}

#[tokio::test]
async fn a_wrong_client_clock_is_corrected_and_all_times_are_kept() {
    let home = Home::new();
    let collector = home.start().await;
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let mut event = purchase("u-1", 1.0);
    event["timestamp"] = json!(now + hour * 9);
    let request = collector.request(BATCH).header("x-sent-at", (now + hour * 10).to_string());
    let response = request.body(event.to_string()).send().await.unwrap();
    assert_eq!(counts(&receipt(response).await), (1, 0, 0));
    collector.stop().await;
    let rows = lake::rows(&open_lake(&home)).await;
    assert_eq!(rows[0].ts_received - rows[0].ts, 3_600_000_000);
}
