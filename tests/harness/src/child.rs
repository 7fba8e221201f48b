//! A process that a test started: its output goes to a file, and it ends with the test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// How long a process may take to end.
const LEAVE: Duration = Duration::from_secs(10);

/// A running process.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command`; what it prints goes to `log`, appended.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let process = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("can't start {command:?}"))?;
        Ok(Self {
            process,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it the signal with this name, such as `KILL`.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let _status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
    }

    /// Asks it to end, and kills it where that takes more than [`LEAVE`].
    pub fn stop(&mut self) {
        self.signal("TERM");
        let asked = Instant::now();
        while self.runs() && asked.elapsed() < LEAVE {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// Kills it at once and takes its end in.
    pub fn kill(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.process
            .try_wait()
            .ok()
            .flatten()
            .and_then(|status| status.code())
    }

    /// The last `lines` lines that it printed.
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
