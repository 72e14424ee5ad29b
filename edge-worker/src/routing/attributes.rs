//! What a routed request says about itself, as attributes that conditions can look at.

use std::borrow::Cow;

use eval_core::route::RequestPath;
use eval_core::{AttributeValue, CompiledConfig, Context};

use super::{Head, cookie};
use crate::request::percent_decode;

/// Attributes that every exposure carries where they are known.
const ALWAYS: [&str; 4] = ["platform", "device", "country", "path"];
/// Name of the cookie that says that the visitor has consented; its value must be `1` or `true`.
const CONSENT_COOKIE: &str = "sortition_consent";

/// Adds the attributes that the config looks at.
pub(crate) fn add(
    mut context: Context<'static>,
    config: &CompiledConfig<'_>,
    head: &Head<'_>,
    path: &RequestPath<'_>,
) -> Context<'static> {
    for name in ALWAYS.into_iter().chain(config.attributes().filter(|name| !ALWAYS.contains(name)))
    {
        if let Some(value) = text(name, head, path) {
            context = context.attribute(name.to_owned(), AttributeValue::from(value.into_owned()));
        }
    }
    let cookies = head.header("cookie");
    if config.requires_consent() || config.attributes().any(|name| name == "consent") {
        let consents = matches!(cookie(cookies, CONSENT_COOKIE), Some("1" | "true"));
        context = context.attribute("consent", consents);
    }
    context
}

fn text<'r>(name: &str, head: &Head<'r>, path: &'r RequestPath<'_>) -> Option<Cow<'r, str>> {
    let value = match name {
        "platform" => "web".into(),
        "device" => {
            let hint = head.header("sec-ch-ua-mobile");
            let is_mobile = hint.map_or_else(
                || head.header("user-agent").is_some_and(|agent| agent.contains("Mobi")),
                |hint| hint == "?1",
            );
            if is_mobile { "mobile" } else { "desktop" }.into()
        }
        "country" => head.header("cf-ipcountry")?.into(),
        "path" => path.as_str().into(),
        "host" => super::hosts::host_name(head.authority)?.to_ascii_lowercase().into(),
        "language" => {
            let first = head.header("accept-language")?.split([',', ';']).next()?.trim();
            first.into()
        }
        "user_agent" => head.header("user-agent")?.into(),
        "referrer" => head.header("referer")?.into(),
        "ip" => head.client_ip?.into(),
        _ => match name.split_once('.')? {
            ("query", name) => {
                let pairs =
                    head.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let (_, value) = pairs
                    .into_iter()
                    .find(|(key, _)| percent_decode(key).is_some_and(|key| key == name))?;
                let spaced = value.replace('+', " ");
                Cow::Owned(percent_decode(&spaced)?.into_owned())
            }
            ("cookie", name) => cookie(head.header("cookie"), name)?.into(),
            ("header", name) => head.header(name)?.into(),
            _ => return None,
        },
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_from_where_their_names_say() {
        let head = Head {
            authority: "Shop.Example:8443",
            query: "utm_source=a+b%21&x",
            headers: vec![
                ("cf-ipcountry", "DE"),
                ("accept-language", "de-AT;q=0.9, en"),
                ("user-agent", "Mozilla/5.0 (iPhone) Mobile Safari"),
                ("cookie", "plan=pro; sortition_consent=1"),
                ("x-tier", "gold"),
            ],
            client_ip: Some("192.0.2.7"),
            ..Head::default()
        };
        let path = RequestPath::parse("/a/../b").unwrap();
        let cases = [
            ("platform", Some("web")),
            ("device", Some("mobile")),
            ("country", Some("DE")),
            ("path", Some("/b")),
            ("host", Some("shop.example")),
            ("language", Some("de-AT")),
            ("ip", Some("192.0.2.7")),
            ("query.utm_source", Some("a b!")),
            ("query.x", Some("")),
            ("query.y", None),
            ("cookie.plan", Some("pro")),
            ("header.x-tier", Some("gold")),
            ("header.x-none", None),
            ("unknown", None),
        ];
        for (name, expected) in cases {
            assert_eq!(text(name, &head, &path).as_deref(), expected, "{name}");
        }
    }
}
