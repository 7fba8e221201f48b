//! The client: one request, sent once, to a checked address, within a time-out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use tokio::time::Instant;

use hookrail_domain::delivery::ErrorCode;

use crate::address_policy::AddressPolicy;
use crate::attempt::{AttemptError, AttemptResult, Withheld};
use crate::client_error::ClientError;
use crate::connect_stage::ConnectStage;
use crate::connection_profile::ConnectionProfile;
use crate::failure::classify_exchange;
use crate::gated_body::{Gate, GatedBody};
use crate::guarded_resolver::GuardedResolver;
use crate::http_stack::{HttpStack, StackMaker};
use crate::limits::{OutboundLimits, PROFILES};
use crate::lookup::{Lookup, SharedLookups, SystemLookup};
use crate::outbound_request::{OutboundRequest, SendCheck};
use crate::proxy::OutboundProxy;
use crate::recent::Recent;
use crate::response_body::{ReadBounds, read_response};
use crate::token_cache::{Token, TokenCache};

/// Sent where a request brings no `User-Agent` of its own.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Hookrail/", env!("CARGO_PKG_VERSION")));

/// Sends requests. Cheap to clone; clones share their connections and access tokens.
///
/// It must be used from inside a tokio runtime, and connections live in the runtime that opened them.
#[derive(Clone)]
pub struct OutboundClient {
    parts: Arc<Parts>,
}

struct Parts {
    policy: Arc<AddressPolicy>,
    maker: StackMaker,
    /// The connections that are made as usual.
    usual: HttpStack,
    /// Those with certificates or a proxy of their own.
    profiles: Mutex<Recent<Arc<ConnectionProfile>, HttpStack>>,
    tokens: TokenCache,
}

impl OutboundClient {
    /// A client that resolves names by the system and trusts the system's certificates.
    ///
    /// # Errors
    /// [`ClientError`] where TLS refuses its settings.
    pub fn new(policy: AddressPolicy, limits: OutboundLimits) -> Result<Self, ClientError> {
        Self::with_proxy(policy, limits, None)
    }

    /// As [`OutboundClient::new`], with the installation's proxy.
    ///
    /// # Errors
    /// [`ClientError`] where TLS refuses its settings.
    pub fn with_proxy(
        policy: AddressPolicy,
        limits: OutboundLimits,
        proxy: Option<OutboundProxy>,
    ) -> Result<Self, ClientError> {
        Self::with_parts(policy, limits, Arc::new(SystemLookup), proxy)
    }

    pub(crate) fn with_parts(
        policy: AddressPolicy,
        limits: OutboundLimits,
        lookup: Arc<dyn Lookup>,
        proxy: Option<OutboundProxy>,
    ) -> Result<Self, ClientError> {
        let policy = Arc::new(policy);
        let maker = StackMaker {
            resolver: GuardedResolver::new(Arc::clone(&policy), SharedLookups::new(lookup)),
            limits,
            proxy: proxy.map(Arc::new),
        };
        let usual = maker.make(&ConnectionProfile::default())?;
        Ok(Self {
            parts: Arc::new(Parts {
                policy,
                maker,
                usual,
                profiles: Mutex::new(Recent::new(PROFILES)),
                tokens: TokenCache::new(),
            }),
        })
    }

    /// What this client may connect to; for checking a URL when it is saved.
    pub fn policy(&self) -> &AddressPolicy {
        &self.parts.policy
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

    /// Resolves, connects and shakes hands (the proxy's too, and TLS for `https`) without sending a request.
    /// Success has neither response nor error.
    pub async fn probe_connect(
        &self,
        url: &str,
        connection: Option<&Arc<ConnectionProfile>>,
        timeout_ms: u64,
    ) -> AttemptResult {
        let started = Instant::now();
        let timeout_ms = self.bounded_timeout_ms(timeout_ms);
        let stage = ConnectStage::default();
        let probe = self.connect(url, connection, &stage);
        let probe = tokio::time::timeout(Duration::from_millis(timeout_ms), probe).await;
        let error = match probe {
            Ok(connected) => connected.err(),
            Err(_) => Some(stage.timed_out(timeout_ms, "connection")),
        };
        AttemptResult {
            duration_ms: elapsed_ms(started),
            response: None,
            error,
        }
    }

    async fn connect(
        &self,
        url: &str,
        connection: Option<&Arc<ConnectionProfile>>,
        stage: &ConnectStage,
    ) -> Result<(), AttemptError> {
        let uri = self.checked_uri(url)?;
        let stack = self.stack(connection)?;
        stack.connector.connect(&uri, stage).await.map(drop)
    }

    async fn attempt(&self, request: &OutboundRequest, gate: &Gate) -> AttemptResult {
        let started = Instant::now();
        let outcome = match request.token {
            None => self.exchange(request, None, started, gate).await,
            Some(_) => self.exchange_with_token(request, started, gate).await,
        };
        outcome.unwrap_or_else(|error| AttemptResult::failed(elapsed_ms(started), error))
    }

    /// With the access token that is kept. Where the receiver refuses that with 401, it has a new one once.
    async fn exchange_with_token(
        &self,
        request: &OutboundRequest,
        started: Instant,
        gate: &Gate,
    ) -> Result<AttemptResult, AttemptError> {
        let token = self.token(request, None, started).await?;
        let result = self.exchange(request, Some(&token), started, gate).await?;
        if result.status() != Some(401) || !token.may_be_renewed() {
            return Ok(result);
        }
        let renewed = self.token(request, Some(&token), started).await?;
        let result = self.exchange(request, Some(&renewed), started, gate).await?;
        if result.status() == Some(401) {
            renewed.refused_while_new();
        }
        Ok(result)
    }

    async fn token(
        &self,
        request: &OutboundRequest,
        refused: Option<&Arc<Token>>,
        started: Instant,
    ) -> Result<Arc<Token>, AttemptError> {
        let source = request.token.as_ref().ok_or_else(no_source)?;
        let key = (Arc::clone(source), request.connection.clone());
        let get = async || {
            let mut asked = source.request(request.timeout_ms);
            asked.connection = request.connection.clone();
            let open = Gate::new(Arc::new(|| true));
            let outcome = self.exchange(&asked, None, started, &open).await;
            let result = outcome.unwrap_or_else(|error| AttemptResult::failed(0, error));
            crate::token_source::read_answer(&result)
        };
        let limit_ms = self.bounded_timeout_ms(request.timeout_ms);
        let deadline = started + Duration::from_millis(limit_ms);
        let token = tokio::time::timeout_at(deadline, self.parts.tokens.token(&key, refused, get)).await;
        token.unwrap_or_else(|_| Err(waited_for_token(limit_ms)))
    }

    async fn exchange(
        &self,
        request: &OutboundRequest,
        token: Option<&Token>,
        started: Instant,
        gate: &Gate,
    ) -> Result<AttemptResult, AttemptError> {
        let prepared = self.prepare(request, token, gate)?;
        let stack = self.stack(request.connection.as_ref())?;
        let timeout_ms = self.bounded_timeout_ms(request.timeout_ms);
        let bounds = ReadBounds {
            deadline: started + Duration::from_millis(timeout_ms),
            timeout_ms,
            keep_body_bytes: request.keep_body_bytes,
        };
        let response = execute(&stack, prepared, &bounds).await?;
        let (response, error) = read_response(response, &bounds).await;
        Ok(AttemptResult {
            duration_ms: elapsed_ms(started),
            response: Some(response),
            error,
        })
    }

    fn prepare(
        &self,
        request: &OutboundRequest,
        token: Option<&Token>,
        gate: &Gate,
    ) -> Result<Request<GatedBody>, AttemptError> {
        let uri = self.checked_uri(&request.url)?;
        let method = request.parse_method()?;
        let mut headers = request.parse_headers()?;
        add_usual(&mut headers);
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        let body = GatedBody::new(gate.clone(), request.body.clone(), &method);
        let mut prepared = Request::new(body);
        *prepared.method_mut() = method;
        *prepared.uri_mut() = uri;
        *prepared.headers_mut() = headers;
        Ok(prepared)
    }

    fn checked_uri(&self, url: &str) -> Result<Uri, AttemptError> {
        let url = self
            .policy()
            .check_url(url)
            .map_err(|refused| AttemptError::from(&refused))?;
        let uri = url.as_str().parse::<Uri>();
        uri.map_err(|error| {
            AttemptError::new(ErrorCode::Render, format!("the URL can't be sent to: {error}"))
        })
    }

    fn stack(&self, profile: Option<&Arc<ConnectionProfile>>) -> Result<HttpStack, AttemptError> {
        let Some(profile) = profile else {
            return Ok(self.parts.usual.clone());
        };
        self.check_proxy(profile)?;
        // Nothing that can panic runs under the lock, and a map stays whole if it did.
        let mut profiles = self.parts.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let stack = profiles.get_or_make(profile, || self.parts.maker.make(profile));
        stack.map_err(|fault| AttemptError::from(&fault))
    }

    /// A destination's proxy is no way around the guard: where its address is written as one, it is checked
    /// here, and as a name when it is resolved.
    fn check_proxy(&self, profile: &ConnectionProfile) -> Result<(), AttemptError> {
        let Some(proxy) = &profile.proxy else {
            return Ok(());
        };
        let checked = self.policy().check_proxy_url(&proxy.url);
        checked.map_err(|detail| AttemptError::new(ErrorCode::AddressRefused, format!("the proxy: {detail}")))
    }

    /// The stack of a profile, made to see whether it can be.
    pub(crate) fn try_profile(&self, profile: &ConnectionProfile) -> Result<(), crate::tls::TlsFault> {
        self.parts.maker.make(profile).map(drop)
    }

    fn bounded_timeout_ms(&self, timeout_ms: u64) -> u64 {
        timeout_ms.min(self.parts.maker.limits.timeout_max_ms)
    }
}

async fn execute(
    stack: &HttpStack,
    request: Request<GatedBody>,
    bounds: &ReadBounds,
) -> Result<Response<Incoming>, AttemptError> {
    let stage = Arc::new(ConnectStage::default());
    let head = Arc::clone(&stage).scope(stack.client.request(request));
    match tokio::time::timeout_at(bounds.deadline, head).await {
        Ok(answered) => answered.map_err(|error| classify_exchange(&error)),
        Err(_) => Err(stage.timed_out(bounds.timeout_ms, "answer")),
    }
}

/// Compression isn't asked for, so a small answer can't unfold into a big one.
fn add_usual(headers: &mut HeaderMap) {
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
}

fn bearer(token: &Token) -> Result<HeaderValue, AttemptError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.text)).map_err(|_| no_source())?;
    value.set_sensitive(true);
    Ok(value)
}

fn no_source() -> AttemptError {
    AttemptError::new(ErrorCode::Auth, "no access token: it can't be sent")
}

fn waited_for_token(limit_ms: u64) -> AttemptError {
    AttemptError::new(ErrorCode::Auth, format!("no access token within {limit_ms} ms"))
}

fn elapsed_ms(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}
