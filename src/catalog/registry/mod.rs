//! What is registered: tenants, templates, their pairs, and the relations that are ours.

pub mod belongings;
pub mod fold_line;
pub mod lost;
pub mod masked;
pub mod pair_states;
pub mod pairs;
pub mod relations;
pub mod search_paths;
pub mod templates;
pub mod tenant_views;
pub mod tenants;
pub mod windows;
