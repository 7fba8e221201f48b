//! Every operation of the OpenAPI document, asked by who may not.

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::fixture::{Fixture, each_database};

/// What only an admin may ask, and what only root.
const ADMIN: [&str; 5] = [
    "listTokens",
    "createToken",
    "readToken",
    "deleteToken",
    "listAudit",
];
const ROOT: [&str; 6] = [
    "listWorkspaces",
    "createWorkspace",
    "readWorkspace",
    "renameWorkspace",
    "deleteWorkspace",
    "rekey",
];

/// One operation, with a path that means something real.
struct Operation {
    id: String,
    method: String,
    path: String,
}

impl Operation {
    fn is_write(&self) -> bool {
        self.method != "GET"
    }

    async fn asked_by(&self, client: &Client) -> Answer {
        let json = [("content-type", "application/json")];
        let (headers, body): (&[_], _) = if self.is_write() { (&json, "{}") } else { (&[], "") };
        client.ask(&self.method, &self.path, headers, body).await
    }
}

/// All of them; placeholders are filled with the ids of things that are there.
async fn operations(client: &Client) -> Vec<Operation> {
    let ids = Ids::make(client).await;
    let document = client.get("/api/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: ids.fill(path),
            });
        }
    }
    assert!(operations.len() > 70, "{}", operations.len());
    operations
}

/// Things of each kind that paths are about.
struct Ids(Vec<(&'static str, String)>);

impl Ids {
    async fn make(client: &Client) -> Self {
        let source = client.source("walked", "").await;
        let key = client
            .post(&format!("/sources/{source}/api-keys"), r#"{"label": "k"}"#)
            .await
            .id();
        let destination = client.destination("walked", "").await;
        let route = format!(
            r#"{{"name": "r", "source": "{source}", "events": ["webhook.received"], "destination": "{destination}"}}"#
        );
        let route = client.post("/routes", &route).await.id();
        let fetcher =
            r#"{"name": "f", "type": "t", "url": "http://127.0.0.1:9/{{id}}", "unique_id": "$.id"}"#;
        let fetcher = client.post("/fetchers", fetcher).await.id();
        let token = client
            .post("/tokens", r#"{"label": "t", "role": "viewer"}"#)
            .await
            .id();
        let workspace = client.post("/workspaces", r#"{"code": "walked"}"#).await.id();
        Self(vec![
            ("/sources/{id}", format!("/sources/{source}")),
            ("{key_id}", key),
            ("/destinations/{id}", format!("/destinations/{destination}")),
            ("/routes/{id}", format!("/routes/{route}")),
            ("/fetchers/{id}", format!("/fetchers/{fetcher}")),
            ("/tokens/{id}", format!("/tokens/{token}")),
            ("/workspaces/{id}", format!("/workspaces/{workspace}")),
            ("{lane_id}", "0123456789abcdef".to_owned()),
            ("{secret_id}", "sec_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
            (
                "/events/{id}",
                "/events/evt_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            ),
            (
                "/deliveries/{id}",
                "/deliveries/dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            ),
            (
                "/replays/{id}",
                "/replays/rpl_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            ),
            (
                "/imports/{id}",
                "/imports/imp_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            ),
            ("{type}", "customer".to_owned()),
            ("{unique_id}", "42".to_owned()),
            ("{name}", "hookrail.ping".to_owned()),
            // Of kinds that came later.
            ("{id}", "src_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        ])
    }

    fn fill(&self, path: &str) -> String {
        let fill = |path: String, (place, value): &(&str, String)| path.replace(place, value);
        let filled = self.0.iter().fold(path.to_owned(), fill);
        assert!(!filled.contains('{'), "{filled}");
        filled
    }
}

async fn token(root: &Client, role: &str) -> Client {
    let body = format!(r#"{{"label": "{role}", "role": "{role}"}}"#);
    let made = root.post("/tokens", &body).await.json();
    root.with_token(made["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_refused_to_who_may_not() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        let operations = operations(root).await;
        let (viewer, editor) = (token(root, "viewer").await, token(root, "editor").await);
        let (admin, nobody) = (token(root, "admin").await, root.with_token(""));
        let mut refused = 0;
        for operation in &operations {
            let id = operation.id.as_str();
            if !operation.path.starts_with("/api/v1") {
                continue;
            }
            operation
                .asked_by(&nobody)
                .await
                .is_problem(401, "unauthenticated");
            let (of_admin, of_root) = (
                ADMIN.contains(&id) || id.ends_with("Connection") || id.ends_with("Connections"),
                ROOT.contains(&id),
            );
            for (client, may) in [
                (&viewer, !operation.is_write() && !of_admin && !of_root),
                (&editor, !of_admin && !of_root),
                (&admin, !of_root),
            ] {
                // What a role may is tried by other tests; here it would change things.
                if may && operation.is_write() {
                    continue;
                }
                let answer = operation.asked_by(client).await;
                if may {
                    assert!(![401, 403, 500].contains(&answer.status), "{id}: {}", answer.text);
                } else {
                    answer.is_problem(403, "forbidden");
                    refused += 1;
                }
            }
        }
        assert!(refused > 60, "{refused}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_path_takes_what_the_document_says_and_nothing_else() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        let document = root.get("/api/openapi.json").await.json();
        let ids = Ids::make(root).await;
        for (path, methods) in document["paths"].as_object().unwrap() {
            let has = |method: &str| methods.get(method.to_lowercase()).is_some();
            let mut allowed: Vec<&str> = ["DELETE", "GET", "PATCH", "POST", "PUT"]
                .into_iter()
                .filter(|m| has(m))
                .collect();
            if has("GET") {
                allowed.push("HEAD");
            }
            allowed.sort_unstable();
            let answer = root.ask("TRACE", &ids.fill(path), &[], "").await;
            answer.is_problem(405, "method-not-allowed");
            assert_eq!(
                answer.header("allow"),
                Some(allowed.join(", ").as_str()),
                "{path}"
            );
        }
    })
    .await;
}

/// What the sources of the service say that it serves.
fn served() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let found = text.split("web::resource(\"").skip(1);
        paths.extend(found.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_path_that_is_served_is_in_the_document() {
    each_database(async |fixture: Fixture| {
        let document: Value = fixture.client.get("/api/openapi.json").await.json();
        let documented = document["paths"].as_object().unwrap();
        let served = served();
        assert!(served.len() > 45, "{served:?}");
        for path in served {
            // The console and the document itself are for everyone, and below no scope.
            let is_known = path == "/" || path == "/api/openapi.json" || {
                // Patterns of the framework: `{unique_id:.*}` is `{unique_id}` in the document.
                let plain = path
                    .split('{')
                    .enumerate()
                    .map(|(at, part)| match (at, part.split_once('}')) {
                        (0, _) | (_, None) => part.to_owned(),
                        (_, Some((name, rest))) => format!("{{{}}}{rest}", name.split(':').next().unwrap()),
                    });
                documented.contains_key(&format!("/api/v1{}", plain.collect::<String>()))
            };
            assert!(is_known, "{path} is served and not documented");
        }
    })
    .await;
}
