//! Reading the warehouse back: days, rows outside the ledger, duplicates.

pub mod read_back;
