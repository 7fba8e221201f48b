//! What config publishes: an entry for every kind of definition, and for one that was deleted. Every
//! member is written out, so that a changed default never changes what old bytes are expected to mean.

use hookrail_broker::codec;
use hookrail_domain::{
    api_key::ApiKey,
    connection::{Connection, ConnectionSpec},
    destination::{Destination, DestinationSpec},
    fetcher::{Fetcher, FetcherSpec},
    ids::{ConnectionId, DestinationId, FetcherId, KeyId, RouteId, SecretId, SourceId, WorkspaceId},
    route::{Route, RouteSpec},
    secret::Secret,
    snapshot::{Definition, Entry, Key},
    source::{OldName, Source, SourceSpec},
    workspace::Workspace,
};

use crate::Golden;

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const SOURCE: SourceId = SourceId::from_u128(2);
const DESTINATION: DestinationId = DestinationId::from_u128(12);
const ROUTE: RouteId = RouteId::from_u128(13);
const FETCHER: FetcherId = FetcherId::from_u128(20);
const CONNECTION: ConnectionId = ConnectionId::from_u128(21);

const SOURCE_SPEC: &str = r#"{
    "name": "orders", "description": "of the shop", "enabled": false, "paused": true, "labels": {"team": "north", "a": "b"},
    "methods": ["PUT", "POST", "GET", "PATCH", "DELETE"], "public_name": false, "allow_ips": ["10.0.0.0/8", "2001:db8::/32"],
    "auth": {"type": "none"}, "query_params": [{"name": "q", "default": "1"}, {"name": "r"}],
    "max_body_bytes": 5000, "body_format": "xml", "force_list": ["Line"],
    "ordering": {"mode": "key", "key": {"path": "$.id"}},
    "request_response": {"enabled": true, "timeout_ms": 500, "on_late": "drop"},
    "dedupe": {"enabled": true, "key": {"header": "x-id"}, "window_s": 90},
    "rate_limit": {"per_second": 1.5, "burst": 3},
    "acknowledgement": {"status": 200, "headers": {"x-a": "b"}, "body": "ok"},
    "disabled_answer": "retry", "filter": {"all": [{"path": "$.n", "op": "eq", "value": 12345678901234567890.10}]},
    "entity": {"type": "order", "build": "fetcher", "fetcher": "ftc_0000000000000000000000000E", "path": "$.orders[*]", "unique_id": ["$.shop", "$.id"], "title": "$.name",
        "fields": {"z": "$.z", "a": "$.a"},
        "delete_when": {"path": "$.gone", "op": "exists"}, "history": 3},
    "retention": {"events_s": 60}}"#;

/// Each with the ways to authenticate senders that take secrets.
const SOURCE_AUTHS: [(&str, &str); 6] = [
    (
        "entry_source_custom",
        r#"{"type": "signature", "scheme": "custom", "secrets": ["a"], "public_url": "https://a.example/b", "verify_token": "v",
            "dimensions": {"checks": [{"algorithm": "hmac-sha256", "signature": {"at": {"header": "X-Sig"}}, "signed": "{{body}}"}]}}"#,
    ),
    (
        "entry_source_api_key",
        r#"{"type": "api_key", "header": "X-Key", "query": "key"}"#,
    ),
    (
        "entry_source_basic",
        r#"{"type": "basic", "username": "u", "password": "p"}"#,
    ),
    ("entry_source_bearer", r#"{"type": "bearer", "token": "t"}"#),
    (
        "entry_source_jwt",
        r#"{"type": "jwt", "jwks_url": "https://keys.example/", "public_key": "k", "secret": "s", "issuer": "i", "audience": "a"}"#,
    ),
    (
        "entry_source_signature",
        r#"{"type": "signature", "scheme": "github", "secrets": ["a", "b"], "tolerance_s": 3}"#,
    ),
];

const DESTINATION_SPEC: &str = r#"{
    "name": "crm", "notification_type": "rest", "url": "https://receiver.example/hook", "method": "PATCH", "enabled": false,
    "labels": {"team": "north"}, "events": ["entity.updated", "order.paid"], "format": "cloudevents-binary",
    "headers": {"X-Team": "north"}, "auth": {"type": "none"}, "api_key": "key-of-the-receiver",
    "signing": {"type": "none"}, "tls": {"ca": "ca", "client_certificate": "cert", "client_key": "pem"}, "proxy": {"url": "http://proxy.example/"},
    "ordering": "key", "on_dead": "hold", "spread": 4, "timeout_ms": 7000,
    "retry": {"initial_ms": 100, "multiplier": 1.5, "max_ms": 9000, "jitter": 0.25, "give_up_after_ms": 60000,
        "max_attempts": 7, "permanent_statuses": [400, 410]},
    "rate_limit": {"per_second": 0.5, "burst": 2}, "max_in_flight": 3, "dead_retention_s": 600}"#;

/// Each way to authenticate with a way to sign.
const DESTINATION_AUTHS: [(&str, &str, &str); 4] = [
    (
        "entry_destination_header",
        r#"{"type": "header", "name": "X-Own", "value": "v"}"#,
        r#"{"type": "standard_webhooks", "algorithm": "hmac-sha256", "secrets": ["whsec_a", "whsec_b"]}"#,
    ),
    (
        "entry_destination_basic",
        r#"{"type": "basic", "username": "u", "password": "p"}"#,
        r#"{"type": "standard_webhooks", "algorithm": "ed25519", "secrets": ["whsk_a"]}"#,
    ),
    (
        "entry_destination_bearer",
        r#"{"type": "bearer", "token": "t"}"#,
        r#"{"type": "none"}"#,
    ),
    (
        "entry_destination_oauth2",
        r#"{"type": "oauth2_client_credentials", "token_url": "https://token.example/", "client_id": "c", "client_secret": "s", "scopes": ["all"]}"#,
        r#"{"type": "hmac", "header": "X-Signature", "algorithm": "sha512", "encoding": "base64", "secrets": ["a"]}"#,
    ),
];

/// With everything that says how it is reached.
const OUTBOUND_SPEC: &str = r#"{
    "name": "crm", "url": "https://receiver.example/hook",
    "auth": {"type": "oauth2_client_credentials", "token_url": "https://token.example/", "client_id": "c",
        "client_secret": "s", "scopes": ["a", "b"], "audience": "x", "client_auth": "body"},
    "signing": {"type": "hmac", "header": "X-Signature", "algorithm": "sha1", "encoding": "base64", "prefix": "v0=",
        "signed": "timestamp.body", "timestamp_header": "X-Time", "multiple": true, "secrets": ["a", "b"]},
    "tls": {"ca": "ca", "client_certificate": "cert", "client_key": "pem", "server_name": "inside.example"},
    "proxy": {"url": "socks5://proxy.example:1080", "username": "u", "password": "p"}}"#;

const ROUTE_SPEC: &str = r#"{
    "name": "orders-to-crm", "source": "src_00000000000000000000000002", "events": ["entity.updated", "order.*"],
    "destination": "dst_0000000000000000000000000C", "filter": {"path": "$.n", "op": "gt", "value": 1.10},
    "mapping": {"b": 1.10, "a": "{{ id }}"}, "ordering_key": {"path": "$.id"}, "respond": true, "enabled": false,
    "paused": true}"#;

/// From every source, to a receiver not chosen yet.
const BARE_ROUTE_SPEC: &str = r#"{
    "name": "any", "source": null, "events": [], "destination": null, "filter": null, "mapping": null,
    "ordering_key": null, "respond": false, "enabled": true, "paused": false}"#;

/// With everything that a fetcher may have.
const FETCHER_SPEC: &str = r#"{
    "name": "users", "labels": {"team": "a"}, "type": "customer", "url": "https://api.example.com/{{id.0}}/{{id.1}}",
    "method": "POST", "headers": {"X-Shop": "{{id.0}}"}, "body": "{\"id\":\"{{id}}\"}",
    "auth": {"type": "bearer", "token": "token-of-the-api"}, "entity_path": "$.data", "unique_id": ["$.shop", "$.id"],
    "timeout_ms": 2000, "retry": {"initial_ms": 100, "max_attempts": 9}, "rate_limit": {"per_second": 2.5, "burst": 5},
    "max_in_flight": 4, "on_404": "mark"}"#;

pub(crate) fn all() -> Vec<Golden> {
    let workspace = Workspace {
        id: WORKSPACE,
        code: "default".into(),
    };
    let mut all = vec![
        entry(
            "entry_workspace",
            Key::Workspace(WORKSPACE),
            Some(Definition::Workspace(workspace)),
        ),
        source("entry_source", None),
        destination("entry_destination", None),
        of_destination(
            "entry_destination_outbound",
            serde_json::from_str(OUTBOUND_SPEC).unwrap(),
        ),
        route("entry_route", ROUTE_SPEC),
        route("entry_route_bare", BARE_ROUTE_SPEC),
        entry("entry_tombstone_source", Key::Source(SOURCE), None),
        deleted_source("entry_tombstone_source_kept"),
        entry("entry_tombstone_destination", Key::Destination(DESTINATION), None),
        entry("entry_tombstone_route", Key::Route(ROUTE), None),
        fetcher("entry_fetcher"),
        entry("entry_tombstone_fetcher", Key::Fetcher(FETCHER), None),
        connection("entry_connection"),
        entry("entry_tombstone_connection", Key::Connection(CONNECTION), None),
    ];
    all.extend(SOURCE_AUTHS.map(|(name, auth)| source(name, Some(auth))));
    all.extend(DESTINATION_AUTHS.map(|(name, auth, signing)| destination(name, Some((auth, signing)))));
    all
}

fn entry(name: &'static str, key: Key, definition: Option<Definition>) -> Golden {
    let entry = Entry {
        revision: 42,
        key,
        definition,
    };
    let bytes = codec::encode_entry(&entry);
    Golden::new(name, entry, bytes, codec::decode_entry)
}

fn source(name: &'static str, auth: Option<&str>) -> Golden {
    let definition = Definition::Source(Box::new(whole_source(auth)));
    entry(name, Key::Source(SOURCE), Some(definition))
}

/// Without what only its senders needed.
fn deleted_source(name: &'static str) -> Golden {
    let last = Source {
        token: String::new(),
        api_keys: Vec::new(),
        ..whole_source(None)
    };
    let definition = Definition::DeletedSource(Box::new(last));
    entry(name, Key::Source(SOURCE), Some(definition))
}

fn whole_source(auth: Option<&str>) -> Source {
    let mut spec: SourceSpec = serde_json::from_str(SOURCE_SPEC).unwrap();
    if let Some(auth) = auth {
        spec.auth = serde_json::from_str(auth).unwrap();
    }
    store(spec.secrets_mut());
    Source {
        id: SOURCE,
        workspace: WORKSPACE,
        workspace_code: "default".into(),
        token: "0123456789abcdef".into(),
        old_names: vec![OldName {
            name: "purchases".into(),
            until: 1_766_000_000_000,
        }],
        api_keys: vec![ApiKey {
            id: KeyId::from_u128(3),
            label: "the shop".into(),
            hash: [7; 32],
            hint: "…abcd".into(),
            created_at: 1_764_000_000_000,
        }],
        spec,
    }
}

fn destination(name: &'static str, parts: Option<(&str, &str)>) -> Golden {
    let mut spec: DestinationSpec = serde_json::from_str(DESTINATION_SPEC).unwrap();
    if let Some((auth, signing)) = parts {
        spec.auth = serde_json::from_str(auth).unwrap();
        spec.signing = serde_json::from_str(signing).unwrap();
    }
    of_destination(name, spec)
}

fn of_destination(name: &'static str, mut spec: DestinationSpec) -> Golden {
    store(spec.secrets_mut());
    let destination = Destination {
        id: DESTINATION,
        workspace: WORKSPACE,
        spec,
    };
    entry(
        name,
        Key::Destination(DESTINATION),
        Some(Definition::Destination(Box::new(destination))),
    )
}

fn route(name: &'static str, spec: &str) -> Golden {
    let spec: RouteSpec = serde_json::from_str(spec).unwrap();
    let route = Route {
        id: ROUTE,
        workspace: WORKSPACE,
        spec,
    };
    entry(name, Key::Route(ROUTE), Some(Definition::Route(Box::new(route))))
}

fn fetcher(name: &'static str) -> Golden {
    let mut spec: FetcherSpec = serde_json::from_str(FETCHER_SPEC).unwrap();
    store(spec.secrets_mut());
    let fetcher = Fetcher {
        id: FETCHER,
        workspace: WORKSPACE,
        spec,
    };
    entry(
        name,
        Key::Fetcher(FETCHER),
        Some(Definition::Fetcher(Box::new(fetcher))),
    )
}

fn connection(name: &'static str) -> Golden {
    let spec = r#"{"name": "shop", "labels": {"a": "b"}, "database_url": "postgres://u:p@h/d"}"#;
    let mut spec: ConnectionSpec = serde_json::from_str(spec).unwrap();
    store(spec.secrets_mut());
    let connection = Connection {
        id: CONNECTION,
        workspace: WORKSPACE,
        spec,
    };
    let definition = Definition::Connection(Box::new(connection));
    entry(name, Key::Connection(CONNECTION), Some(definition))
}

/// Gives secrets what they have once they are stored; the first of them expires.
fn store(secrets: Vec<&mut Secret>) {
    for (number, secret) in (1_u128..).zip(secrets) {
        secret.id = Some(SecretId::from_u128(number));
        secret.expires_at = (number == 1).then_some(1_766_000_000_000);
    }
}
