//! Workspaces: the tenants to which everything else belongs.

use crate::ids::WorkspaceId;

/// Codes that can't be given, since the listeners use them as first path segments.
pub const RESERVED_CODES: [&str; 6] = ["h", "r", "api", "livez", "readyz", "metrics"];
/// The code of the workspace that exists from the start.
pub const FIRST_CODE: &str = "default";

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its code, the first segment of its sources' URLs.
    pub code: String,
}

/// Whether `code` may name a workspace: `[a-z0-9][a-z0-9-]{1,30}` and not reserved.
pub fn is_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    (2..=31).contains(&bytes.len())
        && bytes[0] != b'-'
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !RESERVED_CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_lower_case_and_not_reserved() {
        for good in ["default", "a1", "my-team", "0x"] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["", "a", "-ab", "Ab", "api", "metrics", "a_b", &"a".repeat(32)] {
            assert!(!is_code(bad), "{bad}");
        }
    }
}
