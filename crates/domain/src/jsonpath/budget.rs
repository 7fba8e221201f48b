//! What evaluating paths may cost, so that no path and no payload can hold a worker for long.

/// Nodes visited, members looked up, values compared and text matched, in one budget: a few
/// hundredths of a second. A body of 1 MiB has at most 350,000 nodes.
pub const MAX_STEPS: usize = 2_000_000;

/// Nodes that one path may give.
pub const MAX_RESULTS: usize = 100_000;

/// The evaluation would cost more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path costs too much on this payload")]
pub struct BudgetExceeded;

/// The steps that are left. One is shared by all that is evaluated on one payload.
#[derive(Clone, Debug)]
pub struct Budget {
    steps: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: MAX_STEPS }
    }
}

impl Budget {
    /// Takes steps away.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), BudgetExceeded> {
        self.steps = self.steps.checked_sub(steps).ok_or(BudgetExceeded)?;
        Ok(())
    }
}
