//! Days in a folder.

use super::{files, land, open, origin, rows, schema, tally, written};
use arrow_array::RecordBatch;
use dayhaul::copy::Digest;
use dayhaul::landing::{LandedFile, Landing, ListingFilter, RowsInFile, WriterOptions};
use dayhaul::unit::{SchemaName, Window};

const PATH: &str = "orders/tenant=acme/date=2024-02-29/data.parquet";

fn read(file: &LandedFile) -> Vec<RecordBatch> {
    file.batches().unwrap().map(Result::unwrap).collect()
}

/// Whether `batches` hold the rows that [`rows`] makes, all of them, in their order.
fn assert_rows(batches: &[RecordBatch], wanted: usize) {
    let mut from = 0;
    for batch in batches {
        let to = from + batch.num_rows();
        // Not `assert_eq!`, which would print all of them.
        assert!(*batch == rows(from, to), "rows {from} to {to} differ");
        from = to;
    }
    assert_eq!(from, wanted);
}

#[tokio::test]
async fn a_day_is_read_back_as_it_was_written() {
    let root = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        row_group_rows: 4000,
        ..WriterOptions::default()
    };
    let url = format!("file://{}/", root.path().display());
    let landing = Landing::open(&url, options).unwrap();
    landing.check_writable().await.unwrap();
    let origin = origin("acme", "2024-02-29");
    let writer = written(&landing, origin.clone(), 10_500).await;
    let finished = writer
        .finish(
            &tally(10_500),
            Some(RowsInFile {
                digest: Digest::of(b"other"),
                rounded: 0,
            }),
            42,
        )
        .await
        .unwrap();
    let landed = finished.publish().await.unwrap();
    assert_eq!(landed.url, format!("{url}{PATH}"));
    assert_eq!(files(root.path()), [PATH]);

    let file = landing.open_file(&origin.object()).await.unwrap().unwrap();
    assert_eq!((file.url(), file.bytes()), (&*landed.url, landed.bytes));
    assert_eq!(file.schema(), &schema());
    let footer = file.footer();
    assert_eq!(footer.origin, origin);
    assert_eq!((footer.rows, footer.run), (10_500, 42));
    assert_eq!(footer.digest, tally(10_500).digest);
    assert_eq!(footer.digest_of_rows(), Digest::of(b"other"));
    assert_rows(&read(&file), 10_500);
}

#[tokio::test]
async fn an_empty_day_is_a_file_without_rows() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("acme", "2024-02-29"), 0).await;
    let object = origin("acme", "2024-02-29").object();
    let file = landing.open_file(&object).await.unwrap().unwrap();
    assert_eq!((file.footer().rows, read(&file).len()), (0, 0));
    let other = origin("acme", "2024-03-01").object();
    assert!(landing.open_file(&other).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_not_published_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    let unit = || origin("acme", "2024-02-29");
    drop(written(&landing, unit(), 10).await);
    written(&landing, unit(), 10).await.abort().await;
    let finished =
        |writer: dayhaul::landing::Writer| async { writer.finish(&tally(10), None, 1).await };
    drop(finished(written(&landing, unit(), 10).await).await.unwrap());
    let aborted = finished(written(&landing, unit(), 10).await).await.unwrap();
    aborted.abort().await;
    let counted_wrong = written(&landing, unit(), 9)
        .await
        .finish(&tally(10), None, 1)
        .await;
    assert!(counted_wrong.is_err());
    assert!(
        landing
            .list(&ListingFilter::default())
            .await
            .unwrap()
            .units
            .is_empty()
    );
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_day_is_replaced_whole_and_only_when_it_is_published() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    let object = origin("acme", "2024-02-29").object();
    land(&landing, origin("acme", "2024-02-29"), 100).await;
    let before = landing.open_file(&object).await.unwrap().unwrap();

    let writer = written(&landing, origin("acme", "2024-02-29"), 250).await;
    let finished = writer.finish(&tally(250), None, 8).await.unwrap();
    let seen = landing.open_file(&object).await.unwrap().unwrap();
    assert_eq!(seen.footer().rows, 100);
    finished.publish().await.unwrap();
    let after = landing.open_file(&object).await.unwrap().unwrap();
    assert_eq!((after.footer().rows, after.footer().run), (250, 8));
    assert_rows(&read(&after), 250);
    assert_rows(&read(&before), 100);
    assert_eq!(files(root.path()), [PATH]);

    landing.delete(&object).await.unwrap();
    landing.delete(&object).await.unwrap();
    assert!(files(root.path()).is_empty());
}

#[tokio::test]
async fn what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    land(&landing, origin("acme", "2024-02-29"), 10).await;
    let folder = root.path().join("orders/tenant=acme/date=2024-02-29");
    // Nobody holds its lock.
    let leave = || {
        std::fs::write(
            folder.join(".data.parquet.1-00000000feed5eed"),
            "half a day",
        )
        .unwrap()
    };
    leave();
    let listed = landing.list(&ListingFilter::default()).await.unwrap();
    assert_eq!((listed.units.len(), listed.foreign.len()), (1, 0));
    assert_eq!(files(root.path()), [PATH]);

    leave();
    let living = written(&landing, origin("acme", "2024-02-29"), 10).await;
    assert_eq!(files(root.path()).len(), 2);
    landing.list(&ListingFilter::default()).await.unwrap();
    let second = written(&landing, origin("acme", "2024-02-29"), 20).await;
    assert_eq!(files(root.path()).len(), 3);
    for (writer, rows) in [(living, 10), (second, 20)] {
        let finished = writer.finish(&tally(rows), None, 1).await.unwrap();
        finished.publish().await.unwrap();
    }
    assert_eq!(files(root.path()), [PATH]);
}

#[tokio::test]
async fn the_units_under_a_root_are_listed_and_what_is_none_of_them_is_named() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    for (tenant, day) in [
        ("acme", "2024-03-01"),
        ("acme", "2024-02-29"),
        ("zoo", "2024-02-29"),
    ] {
        land(&landing, origin(tenant, day), 3).await;
    }
    landing
        .put_blob("snapshot.json", "{}".into())
        .await
        .unwrap();
    let at = |path: &str| root.path().join(path);
    for hidden in [
        "_SUCCESS",
        "orders/._x",
        "orders/_delta_log/0.json",
        "orders/tenant=acme/.crc",
    ] {
        std::fs::create_dir_all(at(hidden).parent().unwrap()).unwrap();
        std::fs::write(at(hidden), "").unwrap();
    }
    let part = "orders/tenant=acme/date=2024-02-29/part-0.parquet";
    std::fs::write(at(part), "").unwrap();
    std::fs::write(at("notes.txt"), "").unwrap();

    let all = landing.list(&ListingFilter::default()).await.unwrap();
    let paths: Vec<String> = all.units.iter().map(|u| u.object.to_string()).collect();
    assert_eq!(paths.len(), 3);
    assert!(paths.is_sorted());
    assert!(all.units.iter().all(|u| u.bytes > 1000));
    assert_eq!(all.foreign, ["notes.txt", part]);

    let some = ListingFilter {
        template: Some("orders".parse().unwrap()),
        schema: Some(SchemaName::parse("acme").unwrap()),
        days: Some(Window::single("2024-03-01".parse().unwrap())),
    };
    let found = landing.list(&some).await.unwrap();
    assert_eq!(found.units.len(), 1);
    assert_eq!(found.units[0].object.day.to_string(), "2024-03-01");
    let none = ListingFilter {
        template: Some("other".parse().unwrap()),
        ..ListingFilter::default()
    };
    assert_eq!(
        landing.list(&none).await.unwrap(),
        dayhaul::landing::Listing::default()
    );
}

#[tokio::test]
async fn a_blob_is_kept_replaced_listed_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let landing = open(root.path());
    for (name, text) in [
        ("snapshot/2.json", "two"),
        ("snapshot/1.json", "1"),
        ("snapshot/1.json", "one"),
    ] {
        landing.put_blob(name, text.into()).await.unwrap();
    }
    landing.put_blob("other", "x".into()).await.unwrap();
    let blobs = landing.list_blobs("snapshot/").await.unwrap();
    let names: Vec<(&str, u64)> = blobs.iter().map(|b| (&*b.name, b.bytes)).collect();
    assert_eq!(names, [("snapshot/1.json", 3), ("snapshot/2.json", 3)]);
    let one = landing.get_blob("snapshot/1.json").await.unwrap();
    assert_eq!(one.as_deref(), Some(&b"one"[..]));
    landing.delete_blob("snapshot/1.json").await.unwrap();
    assert!(landing.get_blob("snapshot/1.json").await.unwrap().is_none());
    assert_eq!(
        files(root.path()),
        ["_dayhaul/other", "_dayhaul/snapshot/2.json"]
    );
    for wrong in ["../x", "/x", "a//b", ".x", ""] {
        assert!(landing.put_blob(wrong, "".into()).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_day_of_any_size_takes_the_memory_of_a_row_group() {
    let root = tempfile::tempdir().unwrap();
    let options = WriterOptions {
        row_group_bytes: 4 << 20,
        ..WriterOptions::default()
    };
    let url = format!("file://{}", root.path().display());
    let landing = Landing::open(&url, options).unwrap();
    let mut writer = landing
        .create(origin("acme", "2024-02-29"), schema())
        .await
        .unwrap();
    let batch = rows(0, 2000);
    let mut most = 0;
    for _ in 0..100 {
        writer.write(&batch).await.unwrap();
        most = most.max(writer.memory());
    }
    assert!(most < (4 << 20) + (1 << 20), "{most}");
    let before = writer.memory();
    writer.flush_row_group().await.unwrap();
    assert!(before == 0 || writer.memory() < before);
    let finished = writer.finish(&tally(200_000), None, 1).await.unwrap();
    finished.publish().await.unwrap();
    let file = landing
        .open_file(&origin("acme", "2024-02-29").object())
        .await
        .unwrap()
        .unwrap();
    let read: usize = file.batches().unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(read, 200_000);
}
