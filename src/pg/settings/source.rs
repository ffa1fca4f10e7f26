//! The settings of a transaction at a source.

use super::{Pin, pin, pin_since};

/// How a transaction at a source begins. Whatever the login's defaults are: `SERIALIZABLE` fails on a standby, and
/// `DEFERRABLE` waits for other transactions to end.
pub const BEGIN_SOURCE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE; ";

/// The same rows have the same bytes, `{from}` and `::date` mean UTC, and a query is sent for as long as we let it. The
/// search path is the tenant's ([`super::search_path`]), `statement_timeout` the configuration's.
pub const SOURCE: &[Pin] = &[
    // Whose rights and policies count, and what `"$user"` and `current_user` mean: the login's own. A `role` that is set for
    // it, or that another client of a pooler left behind, would change them.
    pin("session_authorization", "DEFAULT"),
    pin("role", "none"),
    // A policy that would filter rows is an error. Otherwise rows would be missing, and nobody would say so.
    pin("row_security", "off"),
    // How texts become dates and times, and these become texts.
    pin("TimeZone", "'UTC'"),
    pin("timezone_abbreviations", "'Default'"),
    pin("DateStyle", "'ISO, MDY'"),
    pin("IntervalStyle", "'postgres'"),
    pin("lc_time", "'C'"),
    // How numbers and bytes become texts.
    pin("extra_float_digits", "1"),
    pin("bytea_output", "'hex'"),
    pin("lc_numeric", "'C'"),
    pin("lc_monetary", "'C'"),
    // What a literal in a query means.
    pin("standard_conforming_strings", "on"),
    pin("backslash_quote", "safe_encoding"),
    pin("array_nulls", "on"),
    pin("xmloption", "content"),
    pin("xmlbinary", "base64"),
    // `x = NULL` is never true.
    pin("transform_null_equals", "off"),
    // `quote_ident` and `format('%I')` quote what needs it.
    pin("quote_all_identifiers", "off"),
    // A search in a GIN index returns all rows, not a random part of them.
    pin("gin_fuzzy_search_limit", "0"),
    // An error is about its statement, not the session.
    pin("exit_on_error", "off"),
    // `statement_timeout` of the configuration bounds a query; these would end it earlier.
    pin("lock_timeout", "0"),
    pin_since(17, "transaction_timeout", "0"),
];
