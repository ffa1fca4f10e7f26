//! A template: one dataset's query with day placeholders, its columns and types, its time column, its indexes.
//!
//! A template is one `.sql` file that opens in any SQL editor: a leading comment with TOML (`front_matter`), then one
//! query. Nothing here does I/O: text in, text or findings out.

mod all_rows;
mod definition;
mod draft;
mod finding;
mod front_matter;
#[cfg(test)]
mod fuzz;
mod lexer;
mod lint;
mod mask_sql;
mod meant;
mod mismatch;
mod placeholders;
mod ranges;
mod source_sql;
mod variable_name;
mod version;

pub use definition::Template;
pub use draft::{Draft, bind_query};
pub use finding::{Finding, Severity};
pub use lint::{lint, lint_columns};
pub use mismatch::{Mismatch, check_source, mismatches};
pub use placeholders::Bindings;
pub use source_sql::{
    copy_out_sql, days_of_keys_sql, has_rows_sql, rows_of_no_day_sql, select_sql, wrap,
};
pub use variable_name::is_variable;
