//! How large a body may be: what its source allows, as far as it can be carried out again. A body that
//! fits into the log but into no delivery would be accepted and then lost.

use hookrail_broker::Broker;
use hookrail_domain::source::SourceSpec;

/// Room that a delivery needs beside the payload: the members around it in the format `event`.
const DELIVERY_ENVELOPE_BYTES: usize = 8 * 1024;

/// The largest payload that a delivery can carry, bytes.
pub(crate) fn deliverable_bytes(broker: &Broker) -> usize {
    broker.max_inline_bytes().saturating_sub(DELIVERY_ENVELOPE_BYTES)
}

/// The largest body that this source may take in, bytes after decoding.
pub(crate) fn body_limit(broker: &Broker, spec: &SourceSpec) -> usize {
    let own = usize::try_from(spec.max_body_bytes).unwrap_or(usize::MAX);
    own.min(deliverable_bytes(broker))
}
