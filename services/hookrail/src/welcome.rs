//! What `hookrail up` tells the person who started it, on stdout; logs go to stderr.

use std::io::Write as _;

use serde_json::{Value, json};

/// The addresses that people and senders use.
pub(crate) struct Addresses {
    pub(crate) ingress: std::net::SocketAddr,
    pub(crate) api: std::net::SocketAddr,
    pub(crate) ops: std::net::SocketAddr,
}

impl Addresses {
    /// The content of `listen.json`.
    pub(crate) fn to_json(&self) -> Value {
        json!({"ingress": self.ingress.to_string(), "api": self.api.to_string(), "ops": self.ops.to_string()})
    }
}

/// Prints the text; a closed stdout is nobody's problem.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The text about a token that was just made.
pub(crate) fn token_text(token: &str) -> String {
    format!("\nadmin token  {token}\n             (shown this once: keep it)\n")
}

/// The text of a process that is ready. `new_token` is there at the first start only.
pub(crate) fn text(addresses: &Addresses, data_dir: &str, new_token: Option<&str>) -> String {
    format!(
        "\nHookrail is ready.\n\n  \
           ingress  http://{ingress}  takes webhooks in\n  \
           API      http://{api}  definitions, events, deliveries\n  \
           ops      http://{ops}  /livez /readyz /metrics\n  \
           data     {data_dir}\n\n\
         Create a source, then send it a webhook:\n\n{curls}\n\
         Ctrl-C stops it.\n\n",
        ingress = addresses.ingress,
        api = addresses.api,
        ops = addresses.ops,
        curls = curls(addresses, new_token),
    )
}

/// Two commands to paste into a shell. Without a new token, the reader has theirs in `HOOKRAIL_ADMIN_TOKEN`.
fn curls(addresses: &Addresses, new_token: Option<&str>) -> String {
    let token = new_token.unwrap_or("$HOOKRAIL_ADMIN_TOKEN");
    format!(
        "  curl -sS http://{api}/api/v1/sources -H \"Authorization: Bearer {token}\" \\\n    \
             -H 'Content-Type: application/json' -d '{{\"name\": \"hello\", \"enabled\": true}}'\n\n  \
           curl -sS http://{ingress}/default/hello -H 'Content-Type: application/json' -d '{{\"hello\": \"world\"}}'\n",
        api = addresses.api,
        ingress = addresses.ingress,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let at = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        Addresses {
            ingress: at(8080),
            api: at(8081),
            ops: at(9464),
        }
    }

    #[test]
    fn the_token_is_shown_when_it_is_new() {
        let first = text(&addresses(), "/data", Some("t0k3n"));
        assert!(first.contains("Bearer t0k3n"), "{first}");
        assert!(token_text("t0k3n").contains("admin token  t0k3n"));
        let later = text(&addresses(), "/data", None);
        assert!(later.contains("Bearer $HOOKRAIL_ADMIN_TOKEN"), "{later}");
    }

    #[test]
    fn the_commands_name_the_chosen_addresses() {
        let shown = text(&addresses(), "/data", None);
        assert!(
            shown.contains("http://127.0.0.1:8081/api/v1/sources")
                && shown.contains("http://127.0.0.1:8080/default/hello")
        );
    }

    #[test]
    fn listen_json_has_the_three_addresses() {
        assert_eq!(
            addresses().to_json().to_string(),
            r#"{"ingress":"127.0.0.1:8080","api":"127.0.0.1:8081","ops":"127.0.0.1:9464"}"#
        );
    }
}
