//! Settings of the config service.

use hookrail_runtime::Secret;

/// Settings of the config service.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigSettings {
    /// A token that always works as admin of all workspaces [default: one is made at the first start]
    #[arg(long, value_name = "TOKEN", help_heading = "Config")]
    pub admin_token: Option<Secret>,

    /// The URL under which senders reach the ingress, for the URLs that sources show
    #[arg(long = "ingress-url", value_name = "URL", help_heading = "Config")]
    pub public_ingress_url: Option<String>,
}

impl ConfigSettings {
    /// The ingress's base URL without a slash at its end.
    pub(crate) fn ingress_url(&self) -> String {
        let url = self
            .public_ingress_url
            .as_deref()
            .unwrap_or("http://127.0.0.1:8080");
        url.trim_end_matches('/').to_owned()
    }
}
