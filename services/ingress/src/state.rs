//! What the ingress's requests share, and what each of its worker threads has for itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hookrail_broker::{Broker, BrokerError, Publisher, SnapshotReader};
use hookrail_domain::ids::SourceId;
use hookrail_domain::respond::LateKey;
use hookrail_domain::source::Source;
use hookrail_runtime::random;
use tokio_util::sync::CancellationToken;

use crate::byte_budget::ByteBudget;
use crate::fill::RawFill;
use crate::in_flight::InFlight;
use crate::intake::Intake;
use crate::metrics::IngressMetrics;
use crate::published_keys::PublishedKeys;
use crate::rates::Rates;
use crate::refusal_reports::RefusalReports;
use crate::sender_files::SenderFiles;
use crate::settings::IngressSettings;
use crate::waiters::Waiters;

/// Sources whose intake a worker keeps; beyond it, it begins anew.
const MAX_INTAKES: usize = 10_000;

/// What all requests share.
pub(crate) struct Ingress {
    pub(crate) settings: IngressSettings,
    pub(crate) broker: Broker,
    pub(crate) snapshot: SnapshotReader,
    pub(crate) fill: RawFill,
    pub(crate) in_flight: InFlight,
    pub(crate) rates: Rates,
    pub(crate) published_keys: PublishedKeys,
    pub(crate) body_bytes: Arc<ByteBudget>,
    /// Callers of request-response that wait.
    pub(crate) waiting: InFlight,
    /// The key of late answers' tokens.
    pub(crate) late_key: LateKey,
    /// The end of waiting: the process stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) reports: RefusalReports,
    pub(crate) sender_files: SenderFiles,
    pub(crate) metrics: IngressMetrics,
}

/// What one worker thread has: the shared part, a connection to the broker whose tasks run on this
/// thread too, so that no publish wakes another one, and what it worked out of the sources, so that
/// requests neither lock nor compute it.
pub(crate) struct Worker {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) publisher: Publisher,
    /// The thread's own connection.
    pub(crate) broker: Broker,
    /// The thread's callers that wait for an answer.
    pub(crate) waiters: Rc<Waiters>,
    intakes: RefCell<HashMap<SourceId, Rc<Intake>>>,
}

impl Worker {
    /// Connects; must be called on the thread that will use it.
    ///
    /// # Errors
    /// No nats-server answers.
    pub(crate) async fn connect(ingress: Arc<Ingress>) -> Result<Self, BrokerError> {
        let broker = Broker::connect(ingress.broker.settings(), "ingress worker").await?;
        // Random: what is told to one that is gone must not reach another.
        let instance = random::hex_token::<8>();
        Ok(Self {
            ingress,
            publisher: broker.publisher(),
            waiters: Waiters::listen(&broker, instance).await?,
            broker,
            intakes: RefCell::new(HashMap::new()),
        })
    }

    /// The intake of this version of a source.
    pub(crate) fn intake(&self, source: &Arc<Source>) -> Rc<Intake> {
        let mut intakes = self.intakes.borrow_mut();
        if let Some(known) = intakes.get(&source.id)
            && Arc::ptr_eq(&known.source, source)
        {
            return Rc::clone(known);
        }
        if intakes.len() >= MAX_INTAKES {
            intakes.clear();
        }
        let intake = Rc::new(Intake::of(source));
        intakes.insert(source.id, Rc::clone(&intake));
        intake
    }
}
