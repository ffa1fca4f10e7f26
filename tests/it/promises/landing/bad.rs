//! What can be wrong with a place or a file: each is said, with its name and what to do.

use super::{files, land, open, origin, schema, written};
use dayhaul::error::{Error, Kind, Result};
use dayhaul::landing::{LandedFile, Landing, WriterOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

const PATH: &str = "orders/tenant=acme/date=2024-02-29/data.parquet";

fn failure<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it went well"),
        Err(error) => error,
    }
}

async fn opened(landing: &Landing) -> Result<Option<LandedFile>> {
    landing
        .open_file(&origin("acme", "2024-02-29").object())
        .await
}

#[tokio::test]
async fn a_file_cut_short_is_named() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("acme", "2024-02-29"), 500).await;
    let path = root.path().join(PATH);
    let whole = std::fs::read(&path).unwrap();
    for left in [0, 3, 4, 11, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..left]).unwrap();
        let error = failure(opened(&landing).await);
        assert_eq!(error.kind(), Kind::Io);
        let text = error.to_string();
        assert!(
            text.contains("truncated") && text.contains(PATH),
            "{left}: {text}"
        );
    }
    // The end is there, and a piece of the middle is not.
    let hole = [&whole[..1000], &whole[3000..]].concat();
    std::fs::write(&path, hole).unwrap();
    let outcome = opened(&landing)
        .await
        .and_then(|file| file.unwrap().batches()?.collect::<Result<Vec<_>>>());
    let text = failure(outcome).to_string();
    assert!(text.contains(PATH), "{text}");
}

#[tokio::test]
async fn a_foreign_file_in_the_tree_is_named() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("zoo", "2024-02-29"), 5).await;
    land(&landing, origin("acme", "2024-02-29"), 5).await;
    let path = root.path().join(PATH);
    // Another tenant's day.
    std::fs::copy(root.path().join(PATH.replace("acme", "zoo")), &path).unwrap();
    let text = failure(opened(&landing).await).to_string();
    assert!(text.contains(PATH) && text.contains("tenant=zoo"), "{text}");
    // Parquet of somebody else.
    let plain = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(plain, schema(), None).unwrap();
    writer.write(&super::rows(0, 5)).unwrap();
    writer.close().unwrap();
    let text = failure(opened(&landing).await).to_string();
    assert!(
        text.contains(PATH) && text.contains("not written by dayhaul"),
        "{text}"
    );
    // No Parquet at all.
    std::fs::write(&path, "year,amount\n2024,7\n".repeat(100)).unwrap();
    let text = failure(opened(&landing).await).to_string();
    assert!(
        text.contains(PATH) && text.contains("not a Parquet file"),
        "{text}"
    );
}

#[tokio::test]
async fn a_root_that_is_missing_or_no_folder_is_said_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let missing = open(&root.path().join("lake"));
    for error in [
        failure(missing.check_writable().await),
        failure(missing.check_readable().await),
        failure(
            missing
                .list(&dayhaul::landing::ListingFilter::default())
                .await,
        ),
        failure(opened(&missing).await),
    ] {
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().contains("does not exist"), "{error}");
        assert!(error.hint().unwrap().contains("mkdir -p"));
    }
    std::fs::write(root.path().join("lake"), "").unwrap();
    let error = failure(missing.check_writable().await);
    assert!(error.message().contains("not a folder"), "{error}");
    // A file where a template's folder should be.
    let landing = open(root.path());
    std::fs::write(root.path().join("orders"), "").unwrap();
    let error = failure(landing.create(origin("acme", "2024-02-29"), schema()).await);
    assert!(
        error.message().contains("file where a folder is needed"),
        "{error}"
    );
    assert!(error.message().contains(PATH), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_half_written() {
    let Some(disk) = Mount::new("size=1m") else {
        return;
    };
    let landing = open(disk.path());
    landing.check_writable().await.unwrap();
    land(&landing, origin("acme", "2024-02-28"), 5).await;
    let before = files(disk.path());
    let mut writer = written(&landing, origin("acme", "2024-02-29"), 100).await;
    let mut outcome = Ok(());
    for n in 0..100 {
        outcome = writer.write(&super::rows(n * 1000, n * 1000 + 1000)).await;
        if outcome.is_ok() {
            outcome = writer.flush_row_group().await;
        }
        if outcome.is_err() {
            break;
        }
    }
    let error = failure(outcome);
    assert!(error.message().contains("the disk is full"), "{error}");
    assert!(error.message().contains(PATH), "{error}");
    writer.abort().await;
    assert_eq!(files(disk.path()), before);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said() {
    let Some(disk) = Mount::new("ro") else {
        return;
    };
    let landing = open(disk.path());
    let error = failure(landing.check_writable().await);
    assert!(error.message().contains("read-only"), "{error}");
    assert!(error.message().contains(&disk.path().display().to_string()));
    landing.check_readable().await.unwrap();
}

#[tokio::test]
async fn a_column_that_a_folder_would_hide_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for name in ["date", "Tenant"] {
        let column = arrow_schema::Field::new(name, arrow_schema::DataType::Int64, true);
        let schema = std::sync::Arc::new(arrow_schema::Schema::new(vec![column]));
        let landing = open(root.path());
        let error = failure(landing.create(origin("acme", "2024-02-29"), schema).await);
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.message().contains(name), "{error}");
    }
    assert!(files(root.path()).is_empty());
}

#[test]
fn a_url_that_names_no_place_is_refused_with_the_forms_there_are() {
    for (url, word) in [
        ("/srv/lake", "file:///srv/lake"),
        ("lake", "file:///absolute"),
        ("ftp://host/lake", "file:///absolute"),
        ("http://host/lake", "s3://bucket"),
        ("file://host/lake", "file:///absolute"),
        ("s3://", "s3://bucket"),
        ("s3://me:hunter2@bucket/lake", "environment"),
        ("s3://bucket/lake?sig=hunter2", "environment"),
    ] {
        let error = failure(Landing::open_with(url, WriterOptions::default(), []));
        assert_eq!(error.kind(), Kind::Config, "{url}");
        assert!(error.hint().unwrap().contains(word), "{url}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

/// A small file system in memory, for tests that root runs.
struct Mount(PathBuf);

impl Mount {
    /// `None` where this user may not mount.
    fn new(options: &str) -> Option<Mount> {
        let path = tempfile::tempdir().unwrap().keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path)
            .output();
        if mounted.is_ok_and(|out| out.status.success()) {
            return Some(Mount(path));
        }
        eprintln!("skipped: this user cannot mount a small disk");
        let _ = std::fs::remove_dir(path);
        None
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
