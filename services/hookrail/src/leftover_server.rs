//! Ends the nats-server that an earlier `hookrail up` left behind because it was killed itself. Only a process whose
//! command line names our configuration file is touched, so a reused process id harms nobody.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// How often, and how many times, an ending server is looked at before it is killed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 200;

/// Ends the server of `pid_file` if it still runs with `config`.
pub(crate) async fn end(pid_file: &Path, config: &Path) {
    let Some(pid) = read_pid(pid_file).filter(|pid| names_config(*pid, config)) else {
        return;
    };
    tracing::warn!(
        pid = pid.as_raw_nonzero().get(),
        "ending the nats-server of an earlier run"
    );
    // It may end by itself between the look and the signal.
    let _ = kill_process(pid, Signal::TERM);
    for _ in 0..LOOKS {
        if test_kill_process(pid).is_err() || !names_config(pid, config) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let _ = kill_process(pid, Signal::KILL);
    tokio::time::sleep(LOOK_EVERY).await;
}

fn read_pid(path: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(path).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn names_config(pid: Pid, config: &Path) -> bool {
    command_line(pid.as_raw_nonzero().get()).is_some_and(|line| line.contains(&*config.to_string_lossy()))
}

/// A process's command line: from `/proc`, or from `ps` where there is none.
fn command_line(pid: i32) -> Option<String> {
    if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).replace('\0', " "));
    }
    let output = Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_is_not_our_server_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("server.pid");
        // This test's own process has the id, but not the configuration in its command line.
        std::fs::write(&pid_file, std::process::id().to_string()).unwrap();
        end(&pid_file, &folder.path().join("nats.conf")).await;
    }

    #[tokio::test]
    async fn a_server_with_our_configuration_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (pid_file, config) = (folder.path().join("server.pid"), folder.path().join("nats.conf"));
        let script = "while :; do sleep 1; done";
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", script, "-c"])
            .arg(&config)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let id = child.id().unwrap();
        std::fs::write(&pid_file, id.to_string()).unwrap();
        // A program that was just started shows its command line a moment later.
        while !names_config(read_pid(&pid_file).unwrap(), &config) {
            tokio::task::yield_now().await;
        }
        // It is our child, so somebody has to wait for it before it is gone.
        let (status, ()) = tokio::join!(child.wait(), end(&pid_file, &config));
        assert!(!status.unwrap().success());
    }
}
