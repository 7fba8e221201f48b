//! The client: one request, sent once, to a checked address, within a time-out.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Body, Client, Request, Response, redirect, retry};
use tokio::time::Instant;

use crate::address_policy::AddressPolicy;
use crate::attempt::{AttemptError, AttemptResult, Withheld};
use crate::client_error::ClientError;
use crate::connect_probe;
use crate::failure::{classify_exchange, timed_out};
use crate::gated_body::{Gate, GatedBody};
use crate::guarded_resolver::GuardedResolver;
use crate::limits::{CONNECT_TIMEOUT, OutboundLimits, RESPONSE_HEADERS_MAX_BYTES, TCP_KEEPALIVE};
use crate::lookup::{Lookup, SharedLookups, SystemLookup};
use crate::outbound_request::{OutboundRequest, SendCheck};
use crate::response_body::{ReadBounds, read_response};
use crate::tls::{self, TlsProfile};

/// Sent where a request brings no `User-Agent` of its own.
const USER_AGENT: &str = concat!("Hookrail/", env!("CARGO_PKG_VERSION"));

/// Sends requests. Cheap to clone; clones share their connections.
///
/// It must be used from inside a tokio runtime, and connections live in the runtime that opened them.
#[derive(Clone)]
pub struct OutboundClient {
    http: Client,
    tls: Arc<rustls::ClientConfig>,
    policy: Arc<AddressPolicy>,
    resolver: GuardedResolver,
    limits: OutboundLimits,
}

impl OutboundClient {
    /// A client that resolves names by the system and trusts the system's certificates.
    ///
    /// # Errors
    /// [`ClientError`] where TLS or the HTTP stack refuses its settings.
    pub fn new(policy: AddressPolicy, limits: OutboundLimits) -> Result<Self, ClientError> {
        Self::with_parts(policy, limits, Arc::new(SystemLookup), &TlsProfile::default())
    }

    pub(crate) fn with_parts(
        policy: AddressPolicy,
        limits: OutboundLimits,
        lookup: Arc<dyn Lookup>,
        profile: &TlsProfile,
    ) -> Result<Self, ClientError> {
        let policy = Arc::new(policy);
        let resolver = GuardedResolver::new(Arc::clone(&policy), SharedLookups::new(lookup));
        let tls = tls::client_config(profile)?;
        let http = http_client(&limits, tls.clone(), resolver.clone())?;
        Ok(Self {
            http,
            tls: Arc::new(tls),
            policy,
            resolver,
            limits,
        })
    }

    /// What this client may connect to; for checking a URL when it is saved.
    pub fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// Sends one request once and reads its answer, within the request's time-out.
    pub async fn send(&self, request: &OutboundRequest) -> AttemptResult {
        self.attempt(request, &Gate::new(Arc::new(|| true))).await
    }

    /// Like [`Self::send`], while `check` holds: it is asked at the start and again right before the
    /// request's bytes go out on a connection.
    ///
    /// # Errors
    /// [`Withheld`] where the check said no; then no complete request has gone out.
    pub async fn send_while(
        &self,
        request: &OutboundRequest,
        check: SendCheck,
    ) -> Result<AttemptResult, Withheld> {
        let gate = Gate::new(check);
        if !gate.is_open() {
            return Err(Withheld);
        }
        let result = self.attempt(request, &gate).await;
        if gate.was_closed() {
            Err(Withheld)
        } else {
            Ok(result)
        }
    }

    /// Resolves, connects and shakes hands (TLS for `https`) without sending a request. Success has
    /// neither response nor error.
    pub async fn probe_connect(&self, url: &str, timeout_ms: u64) -> AttemptResult {
        let started = Instant::now();
        let timeout_ms = self.bounded_timeout_ms(timeout_ms);
        let probe = connect_probe::connect(&self.policy, &self.resolver, &self.tls, url);
        let probe = tokio::time::timeout(Duration::from_millis(timeout_ms), probe).await;
        let error = match probe {
            Ok(connected) => connected.err(),
            Err(_) => Some(timed_out(timeout_ms, "connection")),
        };
        AttemptResult {
            duration_ms: elapsed_ms(started),
            response: None,
            error,
        }
    }

    async fn attempt(&self, request: &OutboundRequest, gate: &Gate) -> AttemptResult {
        let started = Instant::now();
        let outcome = self.exchange(request, started, gate).await;
        outcome.unwrap_or_else(|error| AttemptResult::failed(elapsed_ms(started), error))
    }

    async fn exchange(
        &self,
        request: &OutboundRequest,
        started: Instant,
        gate: &Gate,
    ) -> Result<AttemptResult, AttemptError> {
        let prepared = self.prepare(request, gate)?;
        let timeout_ms = self.bounded_timeout_ms(request.timeout_ms);
        let bounds = ReadBounds {
            deadline: started + Duration::from_millis(timeout_ms),
            timeout_ms,
            keep_body_bytes: request.keep_body_bytes,
        };
        let response = self.execute(prepared, &bounds).await?;
        let (response, error) = read_response(response, &bounds).await;
        Ok(AttemptResult {
            duration_ms: elapsed_ms(started),
            response: Some(response),
            error,
        })
    }

    fn prepare(&self, request: &OutboundRequest, gate: &Gate) -> Result<Request, AttemptError> {
        let url = self
            .policy
            .check_url(&request.url)
            .map_err(|e| AttemptError::from(&e))?;
        let method = request.parse_method()?;
        let headers = request.parse_headers()?;
        let body = GatedBody::new(gate.clone(), request.body.clone(), &method);
        let mut prepared = Request::new(method, url);
        *prepared.headers_mut() = headers;
        *prepared.body_mut() = Some(Body::wrap(body));
        Ok(prepared)
    }

    async fn execute(&self, request: Request, bounds: &ReadBounds) -> Result<Response, AttemptError> {
        let head = self.http.execute(request);
        match tokio::time::timeout_at(bounds.deadline, head).await {
            Ok(answered) => answered.map_err(|error| classify_exchange(&error)),
            Err(_) => Err(timed_out(bounds.timeout_ms, "answer")),
        }
    }

    fn bounded_timeout_ms(&self, timeout_ms: u64) -> u64 {
        timeout_ms.min(self.limits.timeout_max_ms)
    }
}

/// Nothing that the HTTP stack would do on its own is left on: redirects, retries, proxies from the
/// environment, a `Referer`. Compression isn't asked for, so a small answer can't unfold into a big one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes an HTTP client"
)]
fn http_client(
    limits: &OutboundLimits,
    tls: rustls::ClientConfig,
    resolver: GuardedResolver,
) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .no_gzip()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(TCP_KEEPALIVE)
        .pool_max_idle_per_host(limits.idle_per_host)
        .pool_idle_timeout(Duration::from_millis(limits.idle_timeout_ms))
        .http2_max_header_list_size(RESPONSE_HEADERS_MAX_BYTES)
        .build()
}

fn elapsed_ms(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}
