//! The one HTTP client of Hookrail, and the guard that decides where it may connect.
//!
//! Deliveries, probes and fetchers go out through [`OutboundClient`]. It sends one request, once:
//! no redirects are followed, nothing is retried, no proxy is taken from the environment, and no
//! connection is made to an address that [`AddressPolicy`] refuses. [`make_request`] makes the
//! request of a destination, [`make_fetch_request`] that of a fetcher. Nothing here judges what an
//! answer means, or knows about deliveries, lanes and retry schedules.

mod address_policy;
mod attempt;
mod client;
mod client_error;
mod connect_stage;
mod connection_profile;
mod connector;
mod definition_check;
mod destination_request;
mod embedded_ipv4;
mod failure;
mod fetch_request;
mod gated_body;
mod guarded_resolver;
mod host_guard;
mod http_stack;
mod limits;
mod lookup;
mod outbound_request;
mod outbound_url;
mod proxy;
mod proxy_connect;
mod proxy_http;
mod proxy_socks;
mod recent;
mod refused_range;
mod request_signature;
mod response_body;
mod stream;
mod tls;
mod tls_words;
mod token_cache;
mod token_source;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod mutual_tls_tests;
#[cfg(test)]
mod proxy_tests;
#[cfg(test)]
mod rebinding_tests;
#[cfg(test)]
mod test_dns;
#[cfg(test)]
mod test_proxy;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod token_tests;
#[cfg(test)]
mod url_corpus_tests;

pub use address_policy::{AddressPolicy, AddressRefused};
pub use attempt::{AttemptError, AttemptResponse, AttemptResult, Withheld};
pub use client::OutboundClient;
pub use client_error::ClientError;
pub use connection_profile::ConnectionProfile;
pub use destination_request::{MadeRequest, RequestContent, RequestError, make_request};
pub use fetch_request::{FetchFault, make_fetch_request};
pub use hookrail_domain::delivery::ErrorCode;
pub use host_guard::{HostGuard, HostRefused};
pub use limits::{OutboundLimits, RESPONSE_BODY_DRAINED_BYTES, RESPONSE_BODY_KEPT_BYTES};
pub use outbound_request::{OutboundRequest, SendCheck};
pub use outbound_url::UrlRefused;
pub use proxy::OutboundProxy;
pub use refused_range::RefusedRange;
pub use tls::TlsFault;
pub use token_source::TokenSource;
