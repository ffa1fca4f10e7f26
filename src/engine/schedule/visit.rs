//! Where a worker was last, and for how long.

use super::pair_work::PairIndex;

/// Windows of one source that a worker takes in a row while pairs wait that nobody is at.
pub const VISIT: usize = 32;

/// Where a worker was last.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    pub pair: PairIndex,
    pub source: u64,
    /// Windows of the source that it took in a row.
    pub windows: usize,
}
