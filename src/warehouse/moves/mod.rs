//! Days that move between day tables and year tables: fold, unfold, rebuild, sweep.

pub mod fold;
pub mod moving;
pub mod sweep;
pub mod unfold;
