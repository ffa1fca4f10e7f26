//! What is done with one window: fetch, compare, load, land.

pub mod apply_difference;
pub mod checked_days;
pub mod context;
pub mod day_buffer;
pub mod drain;
pub mod encoding_probe;
pub mod fetch;
pub mod from_files;
pub mod landing;
pub mod load;
pub mod load_in_ranges;
pub mod moved_rows;
pub mod outcome;
pub mod refresh;
pub mod shared_day;
pub mod table_runs;
pub mod template_versions;
pub mod window_check;
