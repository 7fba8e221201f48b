//! How large a body may be: what its source allows. What is more than a message carries goes to the
//! object store.

use hookrail_domain::source::SourceSpec;

/// The largest body that this source may take in, bytes after decoding.
pub(crate) fn body_limit(spec: &SourceSpec) -> usize {
    usize::try_from(spec.max_body_bytes).unwrap_or(usize::MAX)
}
