//! Settings of the config service.

use std::path::PathBuf;

use hookrail_runtime::Secret;
use ipnet::IpNet;

/// Settings of the config service.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigSettings {
    /// A token that always works as admin of all workspaces [default: one is made at the first start]
    #[arg(long, value_name = "TOKEN", help_heading = "Config")]
    pub admin_token: Option<Secret>,

    /// Requests a second that one token may make of one config service; 0 = as many as come
    #[arg(long, value_name = "REQUESTS", help_heading = "Config", default_value_t = 200)]
    pub api_rate: u32,

    /// Networks of proxies before the API whose X-Forwarded-For (or Forwarded) is believed
    #[arg(long, value_name = "CIDR,…", help_heading = "Config", value_delimiter = ',')]
    pub api_trusted_proxies: Vec<IpNet>,

    /// How long the audit log is kept, in days
    #[arg(long, value_name = "DAYS", help_heading = "Config", default_value_t = 400)]
    pub audit_retention_days: u32,

    /// The URL under which senders reach the ingress, for the URLs that sources show
    #[arg(long = "ingress-url", value_name = "URL", help_heading = "Config")]
    pub public_ingress_url: Option<String>,

    /// The directory below which syncs may read SQLite files
    #[arg(skip)]
    pub sync_sqlite_dir: Option<PathBuf>,
}

impl Default for ConfigSettings {
    fn default() -> Self {
        Self {
            admin_token: None,
            api_rate: 200,
            api_trusted_proxies: Vec::new(),
            audit_retention_days: 400,
            public_ingress_url: None,
            sync_sqlite_dir: None,
        }
    }
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
