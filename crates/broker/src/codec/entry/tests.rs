use hookrail_domain::api_key::ApiKey;
use hookrail_domain::destination::{
    ClientAuth, Destination, DestinationAuth, DestinationSpec, HmacEncoding, HmacHash, ProxySpec, Signed,
    Signing, TlsSpec,
};
use hookrail_domain::fetcher::Fetcher;
use hookrail_domain::ids::{DestinationId, FetcherId, KeyId, RouteId, SecretId, SourceId, WorkspaceId};
use hookrail_domain::route::{Route, RouteSpec};
use hookrail_domain::secret::Secret;
use hookrail_domain::source::{OldName, Source, SourceSpec};

use super::*;

fn check(key: Key, definition: Option<Definition>) {
    let entry = Entry {
        revision: 17,
        key,
        definition,
    };
    assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    assert_eq!(key_of_id(&entry_key(key)), Some(key));
}

fn secret(value: &str) -> Secret {
    Secret {
        id: Some(SecretId::from_u128(9)),
        value: Some(value.to_owned()),
        expires_at: Some(5),
    }
}

fn source(spec: SourceSpec) -> (Key, Option<Definition>) {
    let id = SourceId::from_u128(1);
    let source = Source {
        id,
        workspace: WorkspaceId::from_u128(2),
        workspace_code: "default".into(),
        token: "t".into(),
        old_names: vec![OldName {
            name: "old".into(),
            until: 9,
        }],
        api_keys: vec![ApiKey {
            id: KeyId::from_u128(3),
            label: "l".into(),
            hash: [7; 32],
            hint: "…abcd".into(),
            created_at: 1,
        }],
        spec,
    };
    (Key::Source(id), Some(Definition::Source(Box::new(source))))
}

fn source_spec(text: &str) -> SourceSpec {
    serde_json::from_str(text).unwrap()
}

#[test]
fn sources_survive_the_wire_with_all_that_an_owner_can_write() {
    let full = r#"{"name":"orders","description":"d","enabled":false,"paused":true,
        "labels":{"a":"b"},"methods":["PUT"],"public_name":false,"allow_ips":["10.0.0.0/8"],
        "query_params":[{"name":"q","default":"1"},{"name":"r"}],
        "max_body_bytes":5,"body_format":"xml","force_list":["N"],
        "ordering":{"mode":"key","key":{"path":"$.id"}},
        "request_response":{"enabled":true,"timeout_ms":5,"on_late":"drop"},
        "dedupe":{"enabled":true,"key":{"header":"x-id"},"window_s":9},
        "rate_limit":{"per_second":1.5,"burst":3},
        "acknowledgement":{"status":200,"headers":{"a":"b"},"body":"ok"},
        "disabled_answer":"retry","filter":{"path":"$.n","op":"eq","value":12345678901234567890.10},
        "entity":{"type":"order","path":"$.orders[*]","unique_id":["$.shop","$.id"],
          "title":"$.name","fields":{"z":"$.z","a":"$.a"},"history":3},
        "retention":{"events_s":60}}"#;
    let (key, definition) = source(source_spec(full));
    check(key, definition);
    let (key, definition) = source(SourceSpec::default());
    check(key, definition.clone());
    let Some(Definition::Source(deleted)) = definition else {
        panic!("a source's definition is one");
    };
    check(key, Some(Definition::DeletedSource(deleted)));
    for auth in [
        r#"{"type":"api_key","header":"X-Key"}"#,
        r#"{"type":"basic","username":"u","password":"p"}"#,
        r#"{"type":"bearer","token":"t"}"#,
        r#"{"type":"jwt","issuer":"i","secret":"s"}"#,
        r#"{"type":"signature","scheme":"github","secrets":["a","b"],"tolerance_s":3}"#,
    ] {
        let (key, definition) = source(source_spec(&format!(r#"{{"name":"x","auth":{auth}}}"#)));
        check(key, definition);
    }
}

#[test]
fn destinations_survive_the_wire_with_their_secrets() {
    let id = DestinationId::from_u128(1);
    let spec = |auth, signing| DestinationSpec {
        name: "d".into(),
        url: "https://r/".into(),
        auth,
        signing,
        api_key: Some(secret("key")),
        tls: Some(TlsSpec {
            ca: Some("ca".into()),
            client_certificate: None,
            client_key: Some(secret("k")),
            server_name: Some("n".into()),
        }),
        proxy: Some(ProxySpec {
            url: "socks5://p:1080".into(),
            username: Some("u".into()),
            password: Some(secret("p")),
        }),
        ..DestinationSpec::default()
    };
    let hmac = Signing::Hmac {
        header: "h".into(),
        algorithm: HmacHash::Sha1,
        encoding: HmacEncoding::Base64,
        prefix: "v0=".into(),
        signed: Signed::TimestampBody,
        timestamp_header: Some("t".into()),
        multiple: true,
        secrets: vec![secret("a"), secret("b")],
    };
    let oauth = DestinationAuth::Oauth2ClientCredentials {
        token_url: "https://t/".into(),
        client_id: "c".into(),
        client_secret: secret("s"),
        scopes: vec!["a".into(), "b".into()],
        audience: Some("x".into()),
        client_auth: ClientAuth::Body,
    };
    let header = DestinationAuth::Header {
        name: "a".into(),
        value: secret("v"),
    };
    for spec in [
        spec(oauth, hmac),
        spec(header, Signing::None),
        spec(DestinationAuth::Bearer { token: secret("t") }, Signing::default()),
        DestinationSpec::default(),
    ] {
        let workspace = WorkspaceId::from_u128(2);
        let destination = Destination { id, workspace, spec };
        check(
            Key::Destination(id),
            Some(Definition::Destination(Box::new(destination))),
        );
    }
}

#[test]
fn routes_workspaces_and_tombstones_survive_the_wire() {
    let id = RouteId::from_u128(1);
    let spec: RouteSpec = serde_json::from_str(
        r#"{"name":"r","source":"src_00000000000000000000000001","events":["a.b"],
            "destination":"dst_00000000000000000000000002","filter":{"all":[]},
            "mapping":{"b":1.10,"a":"$.id"},"ordering_key":{"path":"$.id"},"respond":true,"enabled":false,"paused":true}"#,
    )
    .unwrap();
    let workspace = WorkspaceId::from_u128(2);
    let route = Route { id, workspace, spec };
    check(Key::Route(id), Some(Definition::Route(Box::new(route))));
    check(Key::Route(id), None);
    let code = "default".to_owned();
    check(
        Key::Workspace(workspace),
        Some(Definition::Workspace(Workspace { id: workspace, code })),
    );
    check(Key::Destination(DestinationId::from_u128(3)), None);
}

#[test]
fn fetchers_survive_the_wire() {
    let id = FetcherId::from_u128(1);
    for spec in [
        r#"{"name":"f","type":"t","url":"http://h/{{id}}","unique_id":"$.id"}"#,
        r#"{"name":"f","labels":{"a":"b"},"type":"t","url":"http://h/{{id.0}}","method":"POST",
            "headers":{"X-A":"{{id}}"},"body":"{\"id\":\"{{id.1}}\"}","auth":{"type":"bearer","token":"t"},
            "entity_path":"$.data[*]","unique_id":["$.a","$.b"],"timeout_ms":200,"retry":{"max_attempts":3},
            "rate_limit":{"per_second":2.5,"burst":3},"max_in_flight":2,"on_404":"mark"}"#,
    ] {
        let fetcher = Fetcher {
            id,
            workspace: WorkspaceId::from_u128(2),
            spec: serde_json::from_str(spec).unwrap(),
        };
        check(Key::Fetcher(id), Some(Definition::Fetcher(Box::new(fetcher))));
    }
    check(Key::Fetcher(id), None);
}

#[test]
fn a_definition_of_another_kind_than_its_key_is_refused() {
    let (_, definition) = source(SourceSpec::default());
    let entry = Entry {
        revision: 1,
        key: Key::Route(RouteId::from_u128(1)),
        definition,
    };
    assert_eq!(
        decode_entry(&encode_entry(&entry)).unwrap_err().field,
        "definition"
    );
}
