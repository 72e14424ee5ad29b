//! Every cell of the matrix of roles and routes, asked over HTTP.

use crate::document::operations;
use crate::harness::{Server, on_both_databases, send};
use control_plane::access::{Cell, Role, rows};
use reqwest::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Routes that take no API token.
const OPEN: [(&str, &str); 3] = [
    ("/api/v1/openapi.json", "GET"),
    ("/api/v1/events/batch", "POST"),
    ("/api/v1/session", "POST"),
];

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeSet<(String, String)> = operations()
        .into_iter()
        .map(|(path, method, _)| (path, method.to_uppercase()))
        .filter(|(path, method)| !OPEN.contains(&(path.as_str(), method.as_str())))
        .collect();
    let written: BTreeSet<(String, String)> =
        rows().map(|row| (row.path.to_owned(), row.method.to_owned())).collect();
    let missing: Vec<_> = routes.difference(&written).collect();
    let spare: Vec<_> = written.difference(&routes).collect();
    assert!(missing.is_empty(), "no row in control-plane/src/access/matrix.txt: {missing:?}");
    assert!(spare.is_empty(), "no such route: {spare:?}");
}

/// A token of each role; of all projects, or of one.
async fn tokens(server: &Server, project: Option<&str>) -> BTreeMap<Role, String> {
    let mut made = BTreeMap::new();
    for role in Role::ALL {
        let mut body = json!({ "name": format!("{}-of", role.as_str()), "role": role });
        if let Some(project) = project {
            body["project"] = json!(project);
        }
        let answer = server.made("api-tokens", body).await;
        made.insert(role, answer["token"].as_str().unwrap().to_owned());
    }
    made
}

/// The path with names that nothing has.
fn filled(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') { "nothing-has-this".to_owned() } else { part.to_owned() }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn method(word: &str) -> Method {
    word.parse().unwrap()
}

on_both_databases! {
    async fn every_cell_answers_as_it_is_written(server) {
        let tokens = tokens(server, None).await;
        let mut n_cells = 0;
        for row in rows() {
            for role in Role::ALL {
                // In a project of one's own the path names it: others would be 404 before any role is looked at.
                let path = filled(row.path);
                let mut request = server.anonymous(method(row.method), &path).bearer_auth(&tokens[&role]);
                if row.method != "GET" {
                    // An unknown parameter: a handler that is reached refuses it, or answers 404 or 422 before.
                    request = request.header("If-Match", "*").json(&json!({ "no_such_member": 1 }));
                }
                let answer = send(request).await;
                let at = format!("{} {} as {}: {answer:?}", row.method, row.path, role.as_str());
                match row.cell(role) {
                    Cell::No => drop(answer.problem(403, "forbidden")),
                    // Setting others' passwords is the handler's to refuse.
                    Cell::Yes if row.path.ends_with("/password") && role != Role::Admin => {}
                    Cell::Yes | Cell::Unserved => {
                        assert!(![401, 403, 500].contains(&answer.status.as_u16()), "{at}");
                    }
                }
                n_cells += 1;
            }
        }
        assert_eq!(n_cells, rows().count() * Role::ALL.len());
    }

    async fn a_token_of_one_project_gets_404_for_every_route_of_another(server) {
        server.made("projects", json!({ "name": "acme" })).await;
        let tokens = tokens(server, Some("acme")).await;
        for row in rows().filter(|row| row.scope == control_plane::access::Scope::Project) {
            for role in Role::ALL {
                let path = if row.path.starts_with("/api/v1/projects/") {
                    row.path.replace("{name}", "default")
                } else {
                    filled(row.path)
                };
                let mut request = server
                    .anonymous(method(row.method), &path)
                    .bearer_auth(&tokens[&role])
                    .header("X-Project", "default");
                if row.method != "GET" {
                    request = request.header("If-Match", "*").json(&json!({}));
                }
                let answer = send(request).await;
                let same = answer.problem(404, "not_found");
                assert!(same.is_empty(), "{} {}", row.method, row.path);
                assert_eq!(answer.body["detail"], "there is no project `default`", "{} {}", row.method, row.path);
            }
        }
    }
}
