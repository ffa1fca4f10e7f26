//! Days in a bucket of a real S3 API, over a network that fails.

use super::{land, origin, rows, schema, tally};
use crate::support::proxy::{Break, Proxy};
use crate::support::s3_server::{ask, keys, server, unfinished_uploads, variables};
use dayhaul::error::{Error, Kind};
use dayhaul::landing::{LandedFile, Landing, ListingFilter, Writer, WriterOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

fn open(endpoint: SocketAddr, bucket: &str) -> Landing {
    let url = format!("s3://{bucket}/lake/days");
    Landing::open_with(&url, WriterOptions::default(), variables(endpoint)).unwrap()
}

/// A bucket of its own for each test.
fn bucket(name: &str) -> Option<(SocketAddr, Landing)> {
    let server = server()?;
    ask(server, &format!("PUT /{name}"));
    Some((server, open(server, name)))
}

const KEY: &str = "lake/days/orders/tenant=acme/date=2024-02-29/data.parquet";

/// A day of some 11 MB, in two parts.
const LARGE: usize = 200_000;

async fn large(landing: &Landing) -> Writer {
    let mut writer = landing
        .create(origin("acme", "2024-02-29"), schema())
        .await
        .unwrap();
    for from in (0..LARGE).step_by(20_000) {
        writer.write(&rows(from, from + 20_000)).await.unwrap();
        writer.flush_row_group().await.unwrap();
    }
    writer
}

async fn land_large(landing: &Landing) -> dayhaul::error::Result<u64> {
    let writer = large(landing).await;
    let finished = writer.finish(&tally(LARGE), None, 7).await?;
    Ok(finished.publish().await?.bytes)
}

async fn opened(landing: &Landing) -> LandedFile {
    let object = origin("acme", "2024-02-29").object();
    landing.open_file(&object).await.unwrap().unwrap()
}

/// The object is there, alone, and every row is in it.
async fn assert_whole(server: SocketAddr, bucket: &str, rows_in_all: usize) {
    assert_eq!(keys(server, bucket), [KEY]);
    assert_eq!(unfinished_uploads(server, bucket), 0);
    let mut from = 0;
    for batch in opened(&open(server, bucket)).await.batches().unwrap() {
        let batch = batch.unwrap();
        let to = from + batch.num_rows();
        assert!(batch == rows(from, to), "rows {from} to {to} differ");
        from = to;
    }
    assert_eq!(from, rows_in_all);
}

#[tokio::test]
async fn a_small_day_is_one_object_of_a_bucket() {
    let Some((server, landing)) = bucket("small") else {
        return;
    };
    landing.check_readable().await.unwrap();
    landing.check_writable().await.unwrap();
    assert!(keys(server, "small").is_empty());
    let object = origin("acme", "2024-02-29").object();
    assert!(landing.open_file(&object).await.unwrap().is_none());
    let landed = land(&landing, origin("acme", "2024-02-29"), 2500).await;
    assert_eq!(landed.url, format!("s3://small/{KEY}"));
    assert_whole(server, "small", 2500).await;
    let file = opened(&landing).await;
    assert_eq!(file.bytes(), landed.bytes);
    assert_eq!(file.footer().origin, origin("acme", "2024-02-29"));

    let listing = landing.list(&ListingFilter::default()).await.unwrap();
    assert_eq!(listing.units.len(), 1);
    assert_eq!(
        (&listing.units[0].object, listing.units[0].bytes),
        (&object, landed.bytes)
    );
    landing.delete(&object).await.unwrap();
    landing.delete(&object).await.unwrap();
    assert!(keys(server, "small").is_empty());
}

#[tokio::test]
async fn a_large_day_goes_out_in_parts_and_appears_when_it_is_published() {
    let Some((server, landing)) = bucket("large") else {
        return;
    };
    land(&landing, origin("acme", "2024-02-29"), 10).await;
    let finished = large(&landing)
        .await
        .finish(&tally(LARGE), None, 7)
        .await
        .unwrap();
    assert!(finished.bytes() > 8 << 20, "{}", finished.bytes());
    assert_eq!(unfinished_uploads(server, "large"), 1);
    assert_eq!(opened(&landing).await.footer().rows, 10);
    finished.publish().await.unwrap();
    assert_whole(server, "large", LARGE).await;
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let Some((server, landing)) = bucket("given-up") else {
        return;
    };
    large(&landing).await.abort().await;
    let finished = large(&landing).await.finish(&tally(LARGE), None, 7).await;
    assert_eq!(unfinished_uploads(server, "given-up"), 1);
    finished.unwrap().abort().await;
    assert_eq!(unfinished_uploads(server, "given-up"), 0);
    drop(large(&landing).await);
    let patience = Instant::now() + Duration::from_secs(20);
    while unfinished_uploads(server, "given-up") > 0 {
        assert!(Instant::now() < patience, "a dropped upload is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(keys(server, "given-up").is_empty());
}

/// Lands a large day over a network that fails once.
async fn over_a_broken_network(name: &str, when: Break) {
    let Some((server, _)) = bucket(name) else {
        return;
    };
    let proxy = Proxy::before(server, when);
    let landing = open(proxy.address, name);
    land_large(&landing).await.unwrap();
    assert!(proxy.has_broken());
    assert_whole(server, name, LARGE).await;
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_part_does_not_lose_it() {
    over_a_broken_network("broken-part", Break::AfterSending(3 << 20)).await;
}

#[tokio::test]
async fn an_upload_whose_completion_is_not_heard_of_is_one_whole_object() {
    over_a_broken_network("lost-answer", Break::AnswerTo("<CompleteMultipartUpload")).await;
}

#[tokio::test]
async fn an_upload_whose_part_is_not_heard_of_is_one_whole_object() {
    over_a_broken_network("lost-part", Break::AnswerTo("partNumber=2")).await;
}

#[tokio::test]
async fn a_small_day_survives_a_broken_connection() {
    let Some((server, _)) = bucket("broken-put") else {
        return;
    };
    let proxy = Proxy::before(server, Break::AfterSending(20_000));
    let landing = open(proxy.address, "broken-put");
    land(&landing, origin("acme", "2024-02-29"), 2500).await;
    assert!(proxy.has_broken());
    assert_whole(server, "broken-put", 2500).await;
}

#[tokio::test]
async fn a_file_is_read_whole_over_a_broken_connection() {
    let Some((server, landing)) = bucket("broken-get") else {
        return;
    };
    land_large(&landing).await.unwrap();
    let proxy = Proxy::before(server, Break::AfterReceiving(5 << 20));
    let file = opened(&open(proxy.address, "broken-get")).await;
    assert!(proxy.has_broken());
    let read: usize = file.batches().unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(read, LARGE);
}

#[tokio::test]
async fn blobs_are_kept_in_a_bucket_too() {
    let Some((server, landing)) = bucket("blobs") else {
        return;
    };
    landing
        .put_blob("snapshot/1.json", "one".into())
        .await
        .unwrap();
    landing
        .put_blob("snapshot/2.json", "two".into())
        .await
        .unwrap();
    let blobs = landing.list_blobs("snapshot/").await.unwrap();
    let names: Vec<&str> = blobs.iter().map(|b| &*b.name).collect();
    assert_eq!(names, ["snapshot/1.json", "snapshot/2.json"]);
    let two = landing.get_blob("snapshot/2.json").await.unwrap();
    assert_eq!(two.as_deref(), Some(&b"two"[..]));
    landing.delete_blob("snapshot/2.json").await.unwrap();
    assert!(landing.get_blob("snapshot/2.json").await.unwrap().is_none());
    assert_eq!(
        keys(server, "blobs"),
        ["lake/days/_dayhaul/snapshot/1.json"]
    );
}

async fn refusal(landing: &Landing) -> Error {
    let error = landing.check_writable().await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    error
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named() {
    let Some(server) = server() else { return };
    let landing = open(server, "nowhere");
    for error in [
        refusal(&landing).await,
        landing.check_readable().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(
            error.message().contains("s3://nowhere/lake/days"),
            "{error}"
        );
        assert!(
            error.message().contains("the bucket does not exist"),
            "{error}"
        );
    }
    let object = origin("acme", "2024-02-29").object();
    let error = landing.open_file(&object).await.err().unwrap();
    assert!(
        error.message().contains("the bucket does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn an_endpoint_that_nobody_serves_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let begun = Instant::now();
    let error = refusal(&open(nobody, "bucket")).await;
    assert_eq!(error.kind(), Kind::Connect);
    assert!(error.message().contains("s3://bucket/lake/days"), "{error}");
    assert!(error.message().contains("refused"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15));
}

/// What Amazon answers to keys it does not know, as its documentation shows it.
const FORBIDDEN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InvalidAccessKeyId</Code><Message>The AWS \
    Access Key Id you provided does not exist in our records.</Message><AWSAccessKeyId>AKIATEST</AWSAccessKeyId></Error>";

#[tokio::test]
async fn wrong_credentials_are_said_without_showing_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 8192];
            let _ = stream.read(&mut head);
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{FORBIDDEN}",
                FORBIDDEN.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let error = refusal(&open(address, "bucket")).await;
    assert_eq!(error.kind(), Kind::Connect);
    assert!(error.message().contains("InvalidAccessKeyId"), "{error}");
    assert!(error.hint().unwrap().contains("AWS_ACCESS_KEY_ID"));
    assert!(!format!("{error:?}").contains("AKIATEST"), "{error:?}");
}
