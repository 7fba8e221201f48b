//! What can go wrong, in words for the person at the terminal.

use std::path::PathBuf;

use hookrail_domain::json::Json;

/// Why a verb did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answered.
    #[error("can't reach {url}: {detail}\n  Is Hookrail running? --api-url says where it is.")]
    Unreachable { url: String, detail: String },
    /// The API said no.
    #[error("{}", refusal(.status, .problem))]
    Refused { status: u16, problem: Json },
    /// An answer that is not the API's.
    #[error("{url} does not answer as Hookrail does (status {status}): is --api-url right?")]
    NotTheApi { url: String, status: u16 },
    /// Nothing has this name.
    #[error("there is no {what} {name:?}")]
    Unknown { what: &'static str, name: String },
    /// A setting, an argument or a file is not as it has to be.
    #[error("{0}")]
    Usage(String),
    /// A file can't be read or written.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    /// Work that was done in part, or found what it should report by its exit code; told already.
    #[error("{0}")]
    Failed(String),
}

impl ClientError {
    /// The process's exit code: 64 for what was asked in a wrong way, 1 for all else.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Usage(_) => hookrail_runtime::settings::EXIT_WRONG_SETTINGS,
            _ => 1,
        }
    }
}

/// A problem document (RFC 9457) as lines of text.
fn refusal(status: &u16, problem: &Json) -> String {
    let text = |name: &str| problem.get(name).and_then(Json::as_str);
    let title = text("title").unwrap_or("refused");
    let mut lines = vec![match text("detail") {
        Some(detail) => format!("{title}: {detail} ({status})"),
        None => format!("{title} ({status})"),
    }];
    let errors = problem.get("errors").and_then(Json::as_array).unwrap_or_default();
    for error in errors {
        let part = |name: &str| error.get(name).and_then(Json::as_str).unwrap_or_default();
        lines.push(format!("  {} {}", part("pointer"), part("detail")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_fields() {
        let problem: Json = r#"{"title":"Invalid","detail":"1 field is wrong","code":"invalid",
            "errors":[{"pointer":"/name","detail":"is taken"}]}"#
            .parse()
            .unwrap();
        let error = ClientError::Refused { status: 422, problem };
        assert_eq!(
            error.to_string(),
            "Invalid: 1 field is wrong (422)\n  /name is taken"
        );
        assert_eq!(error.exit_code(), 1);
    }
}
