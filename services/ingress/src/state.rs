//! What the ingress's requests share, and what each of its worker threads has for itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hookrail_broker::{Broker, Publisher, SnapshotReader};
use hookrail_domain::ids::SourceId;
use hookrail_domain::source::Source;

use crate::fill::RawFill;
use crate::in_flight::InFlight;
use crate::intake::Intake;
use crate::metrics::IngressMetrics;
use crate::refusal_reports::RefusalReports;
use crate::settings::IngressSettings;

/// Sources whose intake a worker keeps; beyond it, it begins anew.
const MAX_INTAKES: usize = 10_000;

/// What all requests share.
pub(crate) struct Ingress {
    pub(crate) settings: IngressSettings,
    pub(crate) broker: Broker,
    pub(crate) publisher: Publisher,
    pub(crate) snapshot: SnapshotReader,
    pub(crate) fill: RawFill,
    pub(crate) in_flight: InFlight,
    pub(crate) reports: RefusalReports,
    pub(crate) metrics: IngressMetrics,
}

/// What one worker thread has: the shared part, and what it worked out of the sources, so that
/// requests neither lock nor compute it.
pub(crate) struct Worker {
    pub(crate) ingress: Arc<Ingress>,
    intakes: RefCell<HashMap<SourceId, Rc<Intake>>>,
}

impl Worker {
    pub(crate) fn new(ingress: Arc<Ingress>) -> Self {
        Self {
            ingress,
            intakes: RefCell::new(HashMap::new()),
        }
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
