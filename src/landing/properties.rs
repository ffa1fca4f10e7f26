//! How the columns are written: what every engine reads, small, and quick to write.

use super::Options;
use arrow_schema::{DataType, Schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// "name version x (build y)" is what parquet-mr can read; it distrusts the statistics of a writer that it cannot.
const CREATED_BY: &str = concat!(
    "dayhaul version ",
    env!("CARGO_PKG_VERSION"),
    " (build parquet-rs)"
);

pub(super) fn properties(schema: &Schema, options: &Options) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_bloom_filter_enabled(false)
        .set_max_row_group_row_count(Some(options.row_group_rows))
        .set_max_row_group_bytes(None)
        .set_dictionary_enabled(true);
    for field in schema.fields() {
        if !has_repeated_values(field.data_type()) {
            builder = builder
                .set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
        }
    }
    builder.build()
}

/// Whether a day's values of this type usually repeat, so that a dictionary pays.
fn has_repeated_values(ty: &DataType) -> bool {
    !matches!(
        ty,
        DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(..)
            | DataType::Time64(_)
            | DataType::FixedSizeBinary(_)
            | DataType::Boolean
    )
}
