//! What happens to the processes of a run, by a seed: killed, frozen, terminated, started; and their
//! nats-servers, killed and started.

use std::time::{Duration, Instant};

use hookrail_harness::Child;

use crate::{installation::Installation, print, seeded::Seeded, worker};

/// How long a dispatcher may stay away, milliseconds.
const DOWN_MS: (u64, u64) = (0, 3_000);
/// How long it may be frozen.
const FROZEN_MS: (u64, u64) = (1_000, 12_000);
/// How long a nats-server may stay away.
const NATS_DOWN_MS: (u64, u64) = (500, 4_000);
/// Between two events.
const PAUSE_MS: (u64, u64) = (1_500, 5_000);
/// How soon one that ended by itself is started again.
const START_AGAIN: Duration = Duration::from_millis(500);
/// How often what is due is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// One place of a dispatcher.
enum Slot {
    Runs(Child),
    Frozen(Child, Instant),
    Down(Instant),
}

impl Slot {
    /// Whether its dispatcher ended by itself. One that starts while nats-server is away says so and ends,
    /// and a supervisor starts it again; one that breaks off does not end.
    fn has_ended(&mut self) -> anyhow::Result<bool> {
        let Self::Runs(child) = self else { return Ok(false) };
        if child.runs() {
            return Ok(false);
        }
        anyhow::ensure!(
            child.exit_code().is_some(),
            "a dispatcher broke off:\n{}",
            child.tail(20)
        );
        Ok(true)
    }
}

/// How often what was done.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) kills: u32,
    pub(crate) freezes: u32,
    terminations: u32,
    nats_kills: u32,
}

/// The processes of a run.
pub(crate) struct Disorder {
    slots: Vec<Slot>,
    /// Terminated ones that have not ended yet.
    leaving: Vec<Child>,
    nats_down: Option<(usize, Instant)>,
    started: u32,
    seeded: Seeded,
    pub(crate) done: Done,
}

impl Disorder {
    /// Starts `workers` dispatchers.
    ///
    /// # Errors
    /// When one can't be started.
    pub(crate) fn start(installation: &Installation, workers: usize, seed: u64) -> anyhow::Result<Self> {
        let mut disorder = Self {
            slots: Vec::new(),
            leaving: Vec::new(),
            nats_down: None,
            started: 0,
            seeded: Seeded::new(seed),
            done: Done::default(),
        };
        for _ in 0..workers {
            let child = disorder.new_worker(installation)?;
            disorder.slots.push(Slot::Runs(child));
        }
        Ok(disorder)
    }

    /// Makes disorder until there were `most` kills and freezes, then lets all run again.
    ///
    /// # Errors
    /// When a process can't be started again, or one ended by itself.
    pub(crate) async fn make(&mut self, installation: &mut Installation, most: u32) -> anyhow::Result<()> {
        let mut next = Instant::now() + self.pause();
        while self.done.kills + self.done.freezes < most || self.is_disturbed() {
            tokio::time::sleep(LOOK).await;
            self.restore(installation).await?;
            if Instant::now() >= next && self.done.kills + self.done.freezes < most {
                self.disturb(installation);
                next = Instant::now() + self.pause();
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> Duration {
        self.seeded.between_ms(PAUSE_MS.0, PAUSE_MS.1)
    }

    fn new_worker(&mut self, installation: &Installation) -> anyhow::Result<Child> {
        self.started += 1;
        worker::start(installation, &format!("dispatcher-{}", self.started))
    }

    fn is_disturbed(&self) -> bool {
        let all_run = self.slots.iter().all(|slot| matches!(slot, Slot::Runs(_)));
        !all_run || self.nats_down.is_some()
    }

    /// Starts or thaws what has been away for long enough.
    async fn restore(&mut self, installation: &mut Installation) -> anyhow::Result<()> {
        let now = Instant::now();
        if let Some((server, _)) = self.nats_down.take_if(|(_, until)| *until <= now) {
            installation.nats[server].start_again().await?;
        }
        for index in 0..self.slots.len() {
            if self.slots[index].has_ended()? {
                self.slots[index] = Slot::Down(now + START_AGAIN);
            }
            match &mut self.slots[index] {
                Slot::Frozen(child, until) if *until <= now => {
                    child.signal("CONT");
                    let slot = std::mem::replace(&mut self.slots[index], Slot::Down(now));
                    if let Slot::Frozen(child, _) = slot {
                        self.slots[index] = Slot::Runs(child);
                    }
                }
                Slot::Down(until) if *until <= now => {
                    let child = self.new_worker(installation)?;
                    self.slots[index] = Slot::Runs(child);
                }
                _ => {}
            }
        }
        self.leaving.retain_mut(Child::runs);
        Ok(())
    }

    /// Does one thing to one process that runs.
    fn disturb(&mut self, installation: &mut Installation) {
        let now = Instant::now();
        let (what, whom) = (self.seeded.below(10), self.seeded.below(self.slots.len()));
        let down = now + self.seeded.between_ms(DOWN_MS.0, DOWN_MS.1);
        if what == 0 && self.nats_down.is_none() {
            let server = self.seeded.below(installation.nats.len());
            let away = self.seeded.between_ms(NATS_DOWN_MS.0, NATS_DOWN_MS.1);
            self.done.nats_kills += 1;
            print(&format!(
                "kill -9 nats-server {server}, back in {:.1} s",
                away.as_secs_f64()
            ));
            installation.nats[server].kill();
            self.nats_down = Some((server, now + away));
            return;
        }
        let Slot::Runs(_) = &self.slots[whom] else { return };
        let Slot::Runs(mut child) = std::mem::replace(&mut self.slots[whom], Slot::Down(down)) else {
            return;
        };
        match what {
            0..5 => {
                self.done.kills += 1;
                print(&format!("kill -9 dispatcher {whom}"));
                child.kill();
            }
            5..8 => {
                let frozen = self.seeded.between_ms(FROZEN_MS.0, FROZEN_MS.1);
                self.done.freezes += 1;
                print(&format!(
                    "freeze dispatcher {whom} for {:.1} s",
                    frozen.as_secs_f64()
                ));
                child.signal("STOP");
                self.slots[whom] = Slot::Frozen(child, now + frozen);
            }
            _ => {
                self.done.terminations += 1;
                print(&format!("terminate dispatcher {whom}"));
                child.signal("TERM");
                self.leaving.push(child);
            }
        }
    }

    /// The last lines that the dispatchers printed.
    pub(crate) fn tails(&self, lines: usize) -> String {
        let tail = |slot: &Slot| match slot {
            Slot::Runs(child) | Slot::Frozen(child, _) => child.tail(lines),
            Slot::Down(_) => String::new(),
        };
        self.slots.iter().map(tail).collect::<Vec<_>>().join("\n---\n")
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kills,
            freezes,
            terminations,
            nats_kills,
        } = self;
        write!(
            f,
            "{kills} kills, {freezes} freezes, {terminations} terminations, {nats_kills} kills of nats-server"
        )
    }
}
