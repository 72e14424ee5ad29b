use super::*;

fn raw(json: &str) -> Raw<'_> {
    Raw::read(json.as_bytes()).unwrap()
}

#[test]
fn documents_are_told_from_what_is_none() {
    for json in [
        "null",
        " true\r\n",
        "\tfalse",
        "0",
        "-0",
        "-12.5e+3",
        "1E9",
        "1e999",
        "\"\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1 , [2,{}] ]",
        r#"{"a" : {"b":[null]} , "a":2}"#,
        r#""\ud800 \u00e9 \\ \/""#,
        "\"é😀\"",
    ] {
        assert!(Raw::read(json.as_bytes()).is_ok(), "{json}");
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok(), "{json}");
    }
    for json in [
        "",
        " ",
        "nul",
        "nulls",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "--1",
        "0x1",
        "NaN",
        "'a'",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"\u{1}\"",
        "\"\n\"",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\":1]",
        "{1:2}",
        "{\"a\" 1}",
        "1 2",
        "{} x",
        "\u{feff}1",
        "[1]]",
        "// a\n1",
    ] {
        assert!(Raw::read(json.as_bytes()).is_err(), "{json}");
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(json).is_err(), "{json}");
    }
    assert!(Raw::read(b"\"\xff\"").is_err());
}

#[test]
fn an_error_names_the_place() {
    let error = |json: &str| Raw::read(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(error("{\"a\": 1,\n  \"b\" 2}"), "expected `:` at line 2 column 6");
    assert_eq!(error(""), "expected a value at line 1 column 0");
    assert_eq!(error("[1, ]"), "expected a value at line 1 column 4");
    let error = Members::read(b"{\"a\":1,\"\\ud800\":2}").unwrap_err().to_string();
    assert_eq!(error, "expected whole surrogate pairs at line 1 column 7");
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(raw(&deep).get(), deep);
    assert!(Raw::read("{\"a\":".repeat(200_000).as_bytes()).is_err());
}

#[test]
fn strings_say_what_another_reader_reads() {
    for json in [
        r#""""#,
        r#""plain é""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0041\u00E9\ud83d\ude00x""#,
        r#""\u0000""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#""a\udfff""#,
    ] {
        assert_eq!(
            raw(json).text().map(Cow::into_owned),
            serde_json::from_str(json).ok(),
            "{json}"
        );
    }
    assert!(matches!(raw("\"a\"").text(), Some(Cow::Borrowed("a"))));
    assert_eq!(raw("1").text(), None);
}

#[test]
fn numbers_are_the_nearest_doubles() {
    for json in [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1.5",
        "0.1",
        "0.3",
        "123456789012345",
        "0.000000000000001",
        "1234567890123456",
        "9007199254740993",
        "0.1234567890123456789",
        "1e23",
        "8.41e21",
        "5e-324",
        "2.4703282292062327e-324",
        "1.7976931348623157e308",
        "9223372036854775807",
        "18446744073709551616",
        "2.2250738585072011e-308",
        "123456.789e3",
        "100000000000000000000000000000000000000000",
    ] {
        let expected: f64 = json.parse().unwrap();
        assert_eq!(raw(json).number().map(f64::to_bits), Some(expected.to_bits()), "{json}");
    }
    for json in ["1e999", "-1e400", "\"1\"", "null", "[1]"] {
        assert_eq!(raw(json).number(), None, "{json}");
    }
    assert_eq!(
        (raw("18446744073709551615").unsigned(), raw("1.0").unsigned()),
        (Some(u64::MAX), None)
    );
}

#[test]
fn containers_are_taken_apart_one_level_deep() {
    let items = raw(r#"[1, [2, 3] ,"],", {"a":[]}]"#).items().unwrap();
    let items: Vec<&str> = items.into_iter().map(Raw::get).collect();
    assert_eq!(items, ["1", "[2, 3]", "\"],\"", r#"{"a":[]}"#]);
    assert_eq!(raw("[]").items(), Some(Vec::new()));
    assert_eq!(raw("{}").items(), None);

    let members =
        Members::read(br#" { "a" : 1, "\u0062": {"c": "}"}, "a": 2, "d": null } "#).unwrap();
    let texts: Vec<(&str, &str)> =
        members.0.iter().map(|(name, raw)| (&**name, raw.get())).collect();
    assert_eq!(texts, [("a", "1"), ("b", r#"{"c": "}"}"#), ("a", "2"), ("d", "null")]);
    assert_eq!(members.member("a"), Err(ObjectError::WrongType));
    assert_eq!(members.member("b").map(|raw| raw.is_some()), Ok(true));
    assert_eq!((members.member("d"), members.member("e")), (Ok(None), Ok(None)));
    assert_eq!(Members::read(b"[1]"), Err(ObjectError::WrongType));
    assert!(matches!(Members::read(b"[1"), Err(ObjectError::Malformed(_))));
}
