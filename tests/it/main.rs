//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.
//!
//! `promises` holds the tests, a file per theme; `support` what they stand on. Support knows no promise.

mod promises;
mod support;
