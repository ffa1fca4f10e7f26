//! Engines that are not ours read the same rows, with the types that were meant.

use super::{files, land, open, origin};
use std::process::Command;

#[tokio::test]
async fn pyarrow_and_duckdb_read_what_was_landed() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("acme", "2024-02-29"), 3000).await;
    land(&landing, origin("acme", "2024-03-01"), 500).await;
    land(&landing, origin("zoo", "2024-02-29"), 70).await;
    let out = Command::new("target/python/bin/python")
        .arg("tests/it/landing/read.py")
        .arg(root.path())
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&out.stdout));
    println!("{}", String::from_utf8_lossy(&out.stderr));
    println!("{:?}", files(root.path()));
}
