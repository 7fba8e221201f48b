//! The ingress: takes webhooks in. It finds the source, knows the sender, checks the body, has the
//! broker store the event, and answers.
//!
//! It holds no state but the snapshot of definitions, talks to no database, and processes nothing:
//! what an event means is the processor's concern.

mod settings;
mod state;

mod http_api;
mod receive;

mod find_source;
mod intake;

mod authenticate;
mod body_limit;
mod content_encoding;
mod in_flight;
mod query;
mod read_body;
mod seen_url;
mod sender_files;
mod sender_signature;
mod verify_signature;

mod credentials;
mod inbound;
mod ordering_key;
mod store_event;

mod answer;
mod refusal;

mod fill;
mod readiness;
mod refusal_counts;
mod refusal_reports;
mod rejection_samples;

mod metrics;
mod run;

pub use run::run;
pub use settings::IngressSettings;
