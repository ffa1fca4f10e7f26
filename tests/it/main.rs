//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.
//!
//! `promises` holds the tests, a file per theme; `campaign` breaks runs at random; `support` is what both stand on. Support
//! knows no promise.

mod campaign;
mod promises;
mod support;
