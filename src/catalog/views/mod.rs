//! What the catalog knows, put together for status and for one unit's history.

pub mod status;
pub mod unit_history;
