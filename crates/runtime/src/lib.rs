//! What every process of Hookrail needs before it does anything of its own: settings, logs, metrics, health,
//! shutdown, the clock, random numbers and problem documents.
//!
//! It knows no service, no broker and no database: those are given to a service by the binary that starts it.

pub mod bootstrap;
pub mod clock;
pub mod forwarded;
pub mod health;
pub mod ids;
pub mod listen;
pub mod log_lines;
pub mod metrics;
pub mod ops_http;
pub mod problem;
pub mod random;
mod revision_metric;
pub mod secret;
pub mod settings;
pub mod settings_file;
pub mod shutdown;
pub mod telemetry;
pub mod trace_parent;

pub use bootstrap::ServiceContext;
pub use health::{Health, Readiness};
pub use listen::ListenAddress;
pub use metrics::Metrics;
pub use problem::{Problem, ProblemField};
pub use revision_metric::follow_revision;
pub use secret::Secret;
pub use settings::SettingsError;
pub use trace_parent::TraceParent;
