//! Access tokens that are kept until they expire. Each is got by one request at a time, however many wait
//! for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::attempt::AttemptError;
use crate::connection_profile::ConnectionProfile;
use crate::recent::Recent;
use crate::token_source::{GivenToken, TokenSource};

/// Tokens that are kept at a time; beyond them the one that was used longest ago is forgotten.
const MAX_TOKENS: usize = 4096;
/// The longest time before its end at which a token is renewed; at most a tenth of its life.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);
/// How long a token that was refused as soon as it was got isn't renewed: another one won't be better.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Whose token, and how its endpoint is reached.
pub(crate) type TokenKey = (Arc<TokenSource>, Option<Arc<ConnectionProfile>>);

/// A token in use.
pub(crate) struct Token {
    pub(crate) text: String,
    got_at: Instant,
    renew_at: Instant,
    ends_at: Instant,
    /// The receiver refused it although it was new.
    refused: AtomicBool,
}

impl Token {
    fn new(given: GivenToken, asked_at: Instant) -> Self {
        let ends_at = asked_at + given.life;
        Self {
            text: given.text,
            got_at: asked_at,
            renew_at: ends_at - RENEWED_BEFORE.min(given.life / 10),
            ends_at,
            refused: AtomicBool::new(false),
        }
    }

    /// The receiver refused it, and it was new.
    pub(crate) fn refused_while_new(&self) {
        self.refused.store(true, Ordering::Release);
    }

    /// Whether another one may be taken where this is.
    pub(crate) fn may_be_renewed(&self) -> bool {
        !self.refused.load(Ordering::Acquire) || self.got_at.elapsed() > REFUSED_FOR
    }
}

pub(crate) struct TokenCache {
    slots: Mutex<Recent<TokenKey, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    /// Held while a token is got.
    state: tokio::sync::Mutex<SlotState>,
    /// Tries that ended.
    tries: AtomicU64,
}

#[derive(Default)]
struct SlotState {
    token: Option<Arc<Token>>,
    /// Why the last try gave none.
    failure: Option<AttemptError>,
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        let slots = Mutex::new(Recent::new(MAX_TOKENS));
        Self { slots }
    }

    /// The token of `key`: one that is kept, unless it is `refused`, else what `get` gives. Who waited while
    /// another's try failed has the same failure, so that a token endpoint which is down isn't asked by all
    /// of them in turn.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn token(
        &self,
        key: &TokenKey,
        refused: Option<&Arc<Token>>,
        get: impl AsyncFnOnce() -> Result<GivenToken, AttemptError>,
    ) -> Result<Arc<Token>, AttemptError> {
        let slot = self.slot(key);
        let tries = slot.tries.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let is_refused = |token: &Arc<Token>| refused.is_some_and(|refused| Arc::ptr_eq(refused, token));
        let kept = state.token.clone().filter(|token| !is_refused(token));
        let now = Instant::now();
        if let Some(token) = kept.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(token));
        }
        let still_good = kept.filter(|token| now < token.ends_at);
        let has_failed = slot.tries.load(Ordering::Acquire) != tries;
        if let Some(failure) = state.failure.clone().filter(|_| has_failed) {
            return still_good.ok_or(failure);
        }
        let got = get().await;
        slot.tries.fetch_add(1, Ordering::AcqRel);
        match got {
            Ok(given) => {
                let token = Arc::new(Token::new(given, now));
                state.token = Some(Arc::clone(&token));
                state.failure = None;
                Ok(token)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                still_good.ok_or(failure)
            }
        }
    }

    fn slot(&self, key: &TokenKey) -> Arc<Slot> {
        // Nothing that can panic runs under the lock, and a map stays whole if it did.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let made = slots.get_or_make(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        match made {
            Ok(slot) => slot,
        }
    }
}
