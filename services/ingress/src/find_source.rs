//! Which source a request is for: by `/{workspace}/{name}` or `/h/{token}`.

use std::sync::Arc;

use hookrail_domain::Millis;
use hookrail_domain::snapshot::Snapshot;
use hookrail_domain::source::Source;

/// The first segment of token URLs.
const TOKEN_PREFIX: &str = "h/";

/// The source that answers at `path`. The look-up costs the same however many there are.
pub(crate) fn find_source<'a>(snapshot: &'a Snapshot, path: &str, now: Millis) -> Option<&'a Arc<Source>> {
    let path = path.strip_prefix('/')?;
    match path.strip_prefix(TOKEN_PREFIX) {
        Some(token) => snapshot.source_by_token(token),
        None => snapshot.source_at(path, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_domain::ids::{SourceId, WorkspaceId};
    use hookrail_domain::snapshot::{Definition, Entry, Key};
    use hookrail_domain::source::SourceSpec;

    fn check(path: &str, expected: bool) {
        let source = Source {
            id: SourceId::from_u128(1),
            workspace: WorkspaceId::from_u128(1),
            workspace_code: "default".to_owned(),
            token: "secret-token".to_owned(),
            old_names: Vec::new(),
            api_keys: Vec::new(),
            spec: SourceSpec {
                name: "orders".to_owned(),
                ..SourceSpec::default()
            },
        };
        let mut snapshot = Snapshot::default();
        snapshot.apply(Entry {
            revision: 1,
            key: Key::Source(source.id),
            definition: Some(Definition::Source(Box::new(source))),
        });
        assert_eq!(find_source(&snapshot, path, 0).is_some(), expected, "{path}");
    }

    #[test]
    fn a_source_is_found_by_its_name_and_by_its_token_only() {
        check("/default/orders", true);
        check("/h/secret-token", true);
        for other in [
            "/",
            "",
            "/orders",
            "/default/orders/",
            "/default/secret-token",
            "/h/",
            "/h/orders",
            "//default/orders",
        ] {
            check(other, false);
        }
    }
}
