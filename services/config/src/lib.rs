//! The config service: definitions, the API, the console.
//!
//! It writes definitions into its tables and, through an outbox, into the broker, from where all other
//! services have them. Nobody asks it anything on the way of an event.

mod settings;
mod state;
// Requests
mod audit_trail;
mod authenticated;
mod body_search;
mod bounded_body;
mod http_api;
mod idempotency;
mod import_upload;
mod imports;
mod json_body;
mod paging;
mod preconditions;
mod request_rate;
// Answers
mod answer;
mod error;
mod problem_bodies;
// Definitions
mod change;
mod connections;
mod data_schema;
mod definition;
mod definition_answers;
mod fetcher_rules;
mod line_chunks;
mod merge_patch;
mod respond_rules;
mod route_rules;
mod sample_body;
mod sealed_secrets;
mod secret_fields;
// Resources
mod audit;
mod destination_input;
mod destination_tests;
mod destinations;
mod event_types;
mod fetcher_tests;
mod fetchers;
mod probe;
mod rekey;
mod routes;
mod secret_rotation;
mod signature_schemes;
mod signing_secret;
mod source_keys;
mod sources;
mod stats;
mod sync_runs;
mod syncs;
mod test_request;
mod tokens;
mod workspace_changes;
mod workspaces;
// Data: events, entities, deliveries
mod deliveries;
mod delivery_commands;
mod entities;
mod entity_deletion;
mod entity_history;
mod event_response;
mod events;
mod found_event;
mod lanes;
mod own_event_types;
mod owner;
mod parameters;
mod posted_events;
mod preview;
mod preview_change;
mod preview_request;
mod preview_subject;
mod queued_events;
mod replays;
mod revive;
mod shown;
mod source_status;
mod store_event;
mod test_events;
// Pages
mod console;
mod openapi;
mod openapi_common;
mod sync_documents;
// Start, publishing and notices
mod consume_notices;
mod first_start;
mod metrics;
mod outbox_entry;
mod outbox_publisher;
mod serve;

pub use first_start::ensure_admin_token;
pub use serve::run;
pub use settings::ConfigSettings;
