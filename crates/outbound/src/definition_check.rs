//! What of a definition can't be sent to, whether it is probed or not; for saying so when it is saved.

use hookrail_domain::Millis;
use hookrail_domain::destination::{DestinationAuth, DestinationSpec};
use hookrail_domain::validation::FieldError;

use crate::client::OutboundClient;
use crate::connection_profile::ConnectionProfile;

impl OutboundClient {
    /// The faults of a destination's URLs, certificates and proxy.
    pub fn faults_of(&self, spec: &DestinationSpec, now: Millis) -> Vec<FieldError> {
        let mut faults = Vec::new();
        if let Err(refused) = self.policy().check_url(&spec.url) {
            faults.push(FieldError::new("/url", refused.to_string()));
        }
        faults.extend(self.faults_of_auth(&spec.auth));
        if let Some(proxy) = &spec.proxy
            && let Err(detail) = self.policy().check_proxy_url(&proxy.url)
        {
            faults.push(FieldError::new("/proxy/url", detail));
            return faults;
        }
        // A secret without a value is refused where secrets are settled.
        if let Ok(Some(profile)) = ConnectionProfile::of(spec, now)
            && let Err(fault) = self.try_profile(&profile)
        {
            faults.push(FieldError::new(fault.pointer, fault.detail));
        }
        faults
    }

    /// The faults of the URL where access tokens are got.
    pub fn faults_of_auth(&self, auth: &DestinationAuth) -> Option<FieldError> {
        let refused = self.policy().check_url(auth.token_url()?).err()?;
        Some(FieldError::new("/auth/token_url", refused.to_string()))
    }
}
