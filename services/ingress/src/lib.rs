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
mod head_checks;
mod intake;

mod authenticate;
mod byte_budget;
mod content_encoding;
mod in_flight;
mod published_keys;
mod query;
mod rates;
mod read_body;
mod seen_url;
mod sender_files;
mod sender_signature;
mod take_body;
mod verify_signature;

mod credentials;
mod dedupe_key;
mod inbound;
mod ordering_key;
mod place_body;
mod store_event;

mod hearing;
mod late_answer;
mod respond;
mod response_answer;
mod waiters;

mod answer;
mod refusal;

mod fill;
mod readiness;
mod refusal_counts;
mod refusal_reports;
mod rejection_samples;

mod metrics;
mod run;
mod tls;

pub use run::run;
pub use settings::IngressSettings;
