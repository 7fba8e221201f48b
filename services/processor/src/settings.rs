//! The processor's settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hookrail_runtime::SettingsError;
use ipnet::IpNet;

/// Bytes of the database from which on the oldest go early, unless set.
const STORE_MAX_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// Bytes that a paused source may hold, unless set.
const HELD_MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// Seconds that what is settled stays, unless set: ten times as long as a record of the journal that nobody
/// confirmed takes to come again, since a late one would bring back what is gone.
const SETTLED_KEPT_S: u64 = 600;

/// The pause between two rounds of trimming; a test's is shorter.
const TRIM_PAUSE: Duration = Duration::from_secs(5);

/// How the processor works through events.
#[derive(Clone, Debug, Args)]
pub struct ProcessorSettings {
    /// Events of one partition that are committed together at the most
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Processor")]
    pub processor_batch_events: usize,
    /// Bytes of events that are committed together, roughly
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024, help_heading = "Processor")]
    pub processor_batch_bytes: usize,
    /// Journal records that are committed together at the most
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Processor")]
    pub processor_journal_batch: usize,
    /// Seconds that events are kept that no source speaks for: posted ones, Hookrail's own, and those of deleted sources
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 604_800,
        help_heading = "Processor"
    )]
    pub processor_retention_s: u64,
    /// How full a partition's log may be, in percent of its size, before processed events go early
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 70,
        help_heading = "Processor"
    )]
    pub processor_trim_percent: u64,
    /// Bytes of the database beyond which the oldest settled deliveries and events go early; 0 = no limit
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = STORE_MAX_BYTES,
        help_heading = "Processor"
    )]
    pub processor_store_max_bytes: u64,
    /// Bytes of events that a paused source may hold; beyond, no more are accepted for it; 0 = no limit
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = HELD_MAX_BYTES,
        help_heading = "Processor"
    )]
    pub processor_held_max_bytes: u64,
    /// Seconds that events and settled deliveries stay in the database at the least, whatever the retention
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = SETTLED_KEPT_S,
        help_heading = "Processor",
        hide_short_help = true
    )]
    pub processor_settled_kept_s: u64,
    /// The pause between two rounds of trimming, of the log and of the database
    #[arg(skip = TRIM_PAUSE)]
    pub processor_trim_pause: Duration,
    /// Seconds that a large body without an owner is kept
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 604_800,
        help_heading = "Processor",
        hide_short_help = true
    )]
    pub processor_orphan_body_s: u64,
    /// Deliveries or events that one replay sends again a second, at the most
    #[arg(long, value_name = "N", default_value_t = 500, help_heading = "Processor")]
    pub processor_replay_per_second: u32,
    /// Name of this worker among the processors; by default a new one at each start
    #[arg(long, value_name = "NAME", help_heading = "Processor")]
    pub processor_worker: Option<String>,
    /// Whether that name is known to be nobody else's, so that what it owned is taken back at once
    #[arg(skip)]
    pub processor_exclusive: bool,
    /// Private networks in which syncs may read databases
    #[arg(skip)]
    pub sync_outbound_allow: Vec<IpNet>,
    /// The directory below which syncs may read SQLite files
    #[arg(skip)]
    pub sync_sqlite_dir: Option<PathBuf>,
}

impl Default for ProcessorSettings {
    fn default() -> Self {
        Self {
            processor_batch_events: 256,
            processor_batch_bytes: 4 * 1024 * 1024,
            processor_journal_batch: 500,
            processor_retention_s: 604_800,
            processor_trim_percent: 70,
            processor_store_max_bytes: STORE_MAX_BYTES,
            processor_held_max_bytes: HELD_MAX_BYTES,
            processor_settled_kept_s: SETTLED_KEPT_S,
            processor_trim_pause: TRIM_PAUSE,
            processor_orphan_body_s: 604_800,
            processor_replay_per_second: 500,
            processor_worker: None,
            processor_exclusive: false,
            sync_outbound_allow: Vec::new(),
            sync_sqlite_dir: None,
        }
    }
}

impl ProcessorSettings {
    /// Refuses settings that can't be meant.
    ///
    /// # Errors
    /// The first wrong one, by name.
    pub fn check(&self) -> Result<(), SettingsError> {
        let require = |holds: bool, name: &str, reason: &str| match holds {
            true => Ok(()),
            false => Err(SettingsError::invalid(name, reason)),
        };
        require(
            (1..=4096).contains(&self.processor_batch_events),
            "processor-batch-events",
            "has to be 1 to 4096",
        )?;
        require(
            self.processor_batch_bytes > 0,
            "processor-batch-bytes",
            "has to be above 0",
        )?;
        require(
            (1..=4096).contains(&self.processor_journal_batch),
            "processor-journal-batch",
            "has to be 1 to 4096",
        )?;
        require(
            self.processor_retention_s >= 60,
            "processor-retention-s",
            "has to be at least 60",
        )?;
        require(
            self.processor_settled_kept_s > 0,
            "processor-settled-kept-s",
            "has to be above 0",
        )?;
        require(
            self.processor_orphan_body_s > 0,
            "processor-orphan-body-s",
            "has to be above 0",
        )?;
        require(
            (1..=100_000).contains(&self.processor_replay_per_second),
            "processor-replay-per-second",
            "has to be 1 to 100000",
        )?;
        let percent = (10..=80).contains(&self.processor_trim_percent);
        require(
            percent,
            "processor-trim-percent",
            "has to be 10 to 80: the ingress refuses at 85",
        )
    }
}
