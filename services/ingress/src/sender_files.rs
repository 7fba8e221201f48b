//! What has to be fetched from a sender to know it: the certificates that it signs with, and the URLs
//! that confirm a subscription. Only hosts that the scheme names are asked, by the client that
//! refuses private addresses; what is fetched is kept within limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hookrail_domain::Millis;
use hookrail_domain::signature::Certificate;
use hookrail_outbound::{OutboundClient, OutboundRequest};
use hookrail_runtime::clock::now_ms;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::refusal::Refusal;

/// Certificates that are kept; beyond it all are forgotten. A sender has a few per region.
const MAX_CERTIFICATES: usize = 256;
/// Fetches at a time; further requests that need one are told to come again.
const MAX_FETCHES: usize = 4;
/// How long a fetch may take, milliseconds: senders wait some 15 seconds.
const TIMEOUT_MS: u64 = 5_000;
/// How long a certificate that could not be fetched isn't asked for again, milliseconds.
const FAILED_MS: Millis = 10_000;

/// What was fetched, and the client that does it.
pub(crate) struct SenderFiles {
    outbound: OutboundClient,
    certificates: Mutex<HashMap<String, Kept>>,
    places: Semaphore,
}

/// A certificate, or until when it isn't asked for again.
#[derive(Clone)]
enum Kept {
    Certificate(Arc<Certificate>),
    FailedUntil(Millis),
}

impl SenderFiles {
    pub(crate) fn new(outbound: OutboundClient) -> Self {
        Self {
            outbound,
            certificates: Mutex::default(),
            places: Semaphore::new(MAX_FETCHES),
        }
    }

    /// The certificate at a URL, fetched once.
    ///
    /// # Errors
    /// It can't be had now, which says nothing about the request.
    pub(crate) async fn certificate(&self, url: &str) -> Result<Arc<Certificate>, Refusal> {
        match self.kept(url) {
            Some(Kept::Certificate(certificate)) => return Ok(certificate),
            Some(Kept::FailedUntil(until)) if until > now_ms() => {
                return Err(unverified(
                    "the sender's certificate could not be fetched a moment ago",
                ));
            }
            _ => {}
        }
        let _place = self.place()?;
        let fetched = self.fetch(url).await;
        let parsed = fetched.and_then(|bytes| {
            Certificate::parse(&bytes).map_err(|mismatch| unverified(&mismatch.to_string()))
        });
        match parsed {
            Ok(certificate) => {
                let certificate = Arc::new(certificate);
                self.keep(url, Kept::Certificate(Arc::clone(&certificate)));
                Ok(certificate)
            }
            Err(refusal) => {
                self.keep(url, Kept::FailedUntil(now_ms() + FAILED_MS));
                Err(refusal)
            }
        }
    }

    /// Confirms a subscription by asking for its URL.
    ///
    /// # Errors
    /// The sender did not answer with 2xx: it will send the request again.
    pub(crate) async fn visit(&self, url: &str) -> Result<(), Refusal> {
        let _place = self.place()?;
        self.fetch(url).await.map(drop)
    }

    /// That there is none now says nothing about what would have been fetched.
    fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let place = self.places.try_acquire();
        place.map_err(|_| unverified("too many fetches from senders are in flight"))
    }

    async fn fetch(&self, url: &str) -> Result<bytes::Bytes, Refusal> {
        let request = OutboundRequest::new("GET", url, bytes::Bytes::new(), TIMEOUT_MS);
        let result = self.outbound.send(&request).await;
        match (result.is_success(), result.response, result.error) {
            (true, Some(response), _) => Ok(response.body),
            (_, _, Some(error)) => Err(unverified(&format!("a fetch from the sender failed: {error}"))),
            (_, response, None) => {
                let status = response.map(|response| response.status).unwrap_or_default();
                Err(unverified(&format!(
                    "a fetch from the sender was answered with {status}"
                )))
            }
        }
    }

    fn kept(&self, url: &str) -> Option<Kept> {
        self.lock().get(url).cloned()
    }

    fn keep(&self, url: &str, kept: Kept) {
        let mut certificates = self.lock();
        let failed = matches!(kept, Kept::FailedUntil(_));
        if failed && matches!(certificates.get(url), Some(Kept::Certificate(_))) {
            return;
        }
        if certificates.len() >= MAX_CERTIFICATES {
            certificates.clear();
        }
        certificates.insert(url.to_owned(), kept);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unverified(reason: &str) -> Refusal {
    Refusal::Unverified(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_harness::{Receiver, Reply};
    use hookrail_outbound::{AddressPolicy, OutboundLimits};

    fn files(allowed: &str) -> SenderFiles {
        hookrail_harness::install_tls_provider();
        let allowed = allowed
            .split(',')
            .filter_map(|network| network.parse().ok())
            .collect();
        SenderFiles::new(OutboundClient::new(AddressPolicy::new(allowed), OutboundLimits::default()).unwrap())
    }

    #[tokio::test]
    async fn a_certificate_that_can_not_be_had_is_not_asked_for_again_at_once() {
        let sender = Receiver::with_script(|_| Reply::status(200)).unwrap();
        let files = files("127.0.0.0/8");
        for _ in 0..3 {
            let refused = files.certificate(sender.url()).await.err();
            assert!(matches!(refused, Some(Refusal::Unverified(_))), "{refused:?}");
        }
        assert_eq!(sender.count(), 1);
    }

    #[tokio::test]
    async fn a_subscription_is_confirmed_only_by_a_2xx_of_an_address_that_may_be_asked() {
        let sender = Receiver::with_script(|arrival| {
            Reply::status(if arrival.path.contains("yes") { 200 } else { 403 })
        })
        .unwrap();
        let (yes, no) = (format!("{}/yes", sender.url()), format!("{}/no", sender.url()));
        assert_eq!(files("127.0.0.0/8").visit(&yes).await, Ok(()));
        assert!(files("127.0.0.0/8").visit(&no).await.is_err());
        assert!(files("").visit(&yes).await.is_err());
        assert_eq!(sender.count(), 2);
    }
}
