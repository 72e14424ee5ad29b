//! The program as a person calls it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn sortition(arguments: &[&str], input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_sortition"))
        .args(arguments)
        .env_remove("SORTITION_SETTINGS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary that was built with this test");
    let mut stdin = process.stdin.take().expect("a pipe was asked for");
    stdin.write_all(input.as_bytes()).expect("the program reads its input");
    drop(stdin);
    process.wait_with_output().expect("the program ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is text")
}

#[test]
fn help_names_every_command() {
    let output = sortition(&["--help"], "");
    assert!(output.status.success());
    for command in [
        "serve",
        "edge",
        "collect",
        "analyze",
        "dev",
        "bootstrap",
        "stats",
        "openapi",
        "inspect",
        "demo",
        "replay-nsw",
    ] {
        assert!(text(&output.stdout).contains(command), "{command}");
    }
}

#[test]
fn statistics_answer_one_line_for_each_request_and_go_on_after_a_bad_one() {
    let output = sortition(
        &["stats"],
        "{\"id\": 1, \"method\": \"welch_t\", \"control\": {\"n\": 1000, \"mean\": 10.0, \"variance\": 4.0}, \
         \"treatment\": {\"n\": 1000, \"mean\": 10.2, \"variance\": 4.4}}\n\
         {\"id\": 2, \"method\": \"welch_t\"}\n\
         {\"id\": 3, \"method\": \"no_such_method\"}\n",
    );
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!((lines[0]["result"]["effect"].as_f64().unwrap() - 0.2).abs() < 1e-12);
    assert!(lines[1]["error"].as_str().unwrap().contains("control"), "{}", lines[1]);
    assert!(lines[2]["error"].is_string());
}

#[test]
fn a_file_that_is_no_blob_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("not-a-blob");
    std::fs::write(&file, "hello").unwrap();
    let output = sortition(&["inspect", file.to_str().unwrap()], "");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("not-a-blob"), "{}", text(&output.stderr));
}

#[test]
fn a_blob_says_what_is_in_it() {
    let config = eval_core::compile(&eval_core::source::ConfigSource {
        environment: "production-k3v9x2mq".into(),
        project: "default".into(),
        domain_salt: "aaaaaaaaaaaaaaa".into(),
        requires_consent: false,
        list_key: None,
        sdk_keys: Vec::new(),
        server_only_attributes: Vec::new(),
        layers: Vec::new(),
        holdouts: Vec::new(),
        segments: Vec::new(),
        experiments: Vec::new(),
        flags: Vec::new(),
        routes: Vec::new(),
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("7.bin");
    std::fs::write(&file, eval_core::blob::encode(&config, 7, 1_763_600_000_000)).unwrap();
    let output = sortition(&["inspect", file.to_str().unwrap()], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["generation"], 7);
    assert_eq!(summary["environment"], "production-k3v9x2mq");
    assert_eq!(summary["n_keys"], 0);
}

#[test]
fn a_setting_that_no_command_reads_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings");
    std::fs::write(&file, "SORTITION_NO_SUCH_THING=1\n").unwrap();
    let output = sortition(&["--settings", file.to_str().unwrap(), "stats", "--list"], "");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("SORTITION_NO_SUCH_THING"));
}
