//! One window's way: fetched, compared, loaded, landed.

pub mod apply_difference;
pub mod day_buffer;
pub mod encoding_probe;
pub mod fetch;
pub mod from_files;
pub mod landing;
pub mod load;
pub mod moved_rows;
pub mod refresh;
pub mod table_runs;
pub mod template_versions;
