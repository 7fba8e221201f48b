//! Checks signatures with the `standardwebhooks` library from PyPI, the scheme's own.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::receiver::Arrival;

/// Reads {secret, headers, body} from standard input, and exits with 0 where the library accepts it.
const SCRIPT: &str = "
import base64, json, sys
from standardwebhooks.webhooks import Webhook
given = json.load(sys.stdin)
Webhook(given['secret']).verify(base64.b64decode(given['body']), given['headers'])
";

/// Whether the official library accepts what arrived as signed with `secret`.
///
/// # Errors
/// When it does not, with its reason, or when Python can't be started.
pub fn verify_standard_webhook(secret: &str, arrival: &Arrival) -> anyhow::Result<()> {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(&arrival.body);
    let headers: std::collections::BTreeMap<&str, &str> = arrival
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let given = serde_json::json!({"secret": secret, "headers": headers, "body": body});
    let mut python = Command::new(python())
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("python can't be started")?;
    python
        .stdin
        .take()
        .context("its input")?
        .write_all(given.to_string().as_bytes())?;
    let done = python.wait_with_output()?;
    anyhow::ensure!(
        done.status.success(),
        "refused: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// The interpreter that has the library: `HOOKRAIL_TEST_PYTHON`, else where `make tools` puts it.
pub fn python() -> std::path::PathBuf {
    let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/venv/bin/python");
    std::env::var_os("HOOKRAIL_TEST_PYTHON").map_or_else(fetched, Into::into)
}
