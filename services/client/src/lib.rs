//! The verbs of the command line that talk to the API of a running Hookrail: daily work, definitions as code, and
//! listening to a source.
//!
//! Everything goes through the public API, so whatever a verb does can be done with curl. Nothing here knows
//! the broker or the database, and no rule of the service is repeated here: it answers what is wrong.

mod api;
mod apply;
mod command;
mod definition_file;
mod definition_kind;
mod deliveries;
mod destinations;
mod entities;
mod error;
mod events;
mod export;
mod listen;
mod output;
mod plan;
mod references;
mod rekey;
mod replay;
mod schema;
mod sources;
mod variables;

pub use command::ClientCommand;
pub use error::ClientError;
