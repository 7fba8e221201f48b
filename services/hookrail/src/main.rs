//! The binary: reads the settings, starts logging and the runtime, runs one subcommand, and says by its exit code how
//! that ended.

mod broker_args;
mod data_dir;
mod leftover_server;
mod nats_config;
mod nats_program;
mod nats_server;
mod outbound_args;
mod store_args;
mod welcome;
fn main() {}
