//! Sessions, COPY streams and descriptions against a real server.

use crate::support::server::{self, Database, block_on};
use crate::support::sessions::{access, asleep, cancelled, one, source};
use bytes::Bytes;
use dayhaul::error::{Error, Kind, Result};
use dayhaul::pg::{self, Access, Password, Purpose, Session, Url};
use dayhaul::schema::SourceColumn;
use futures::StreamExt;
use std::time::{Duration, Instant};

async fn warehouse(db: &Database) -> Session {
    pg::connect(&access(&db.url()), Purpose::Warehouse)
        .await
        .expect("a warehouse session")
}

async fn copied(session: &Session, sql: &str) -> Result<Vec<u8>> {
    let mut stream = session.copy_out(sql).await?;
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        all.extend_from_slice(&bytes?);
    }
    Ok(all)
}

/// Everything a person or a log could see of an error.
fn shown(e: &Error) -> String {
    format!("{e} {:?} {e:?}", e.hint())
}

#[test]
fn a_source_session_is_left_as_the_server_made_it() {
    let db = Database::create("connect");
    block_on(async {
        let session = source(&db.url()).await.unwrap();
        assert_eq!(one(&session, "SHOW TimeZone").await, "America/New_York");
        assert_eq!(one(&session, "SHOW application_name").await, "dayhaul");
        let set = "SELECT count(*) FROM pg_settings WHERE source = 'session'";
        assert_eq!(one(&session, set).await, "0");
        let number: u32 = one(&session, "SHOW server_version_num")
            .await
            .parse()
            .unwrap();
        assert_eq!(session.server_version(), number);
    });
}

#[test]
fn a_warehouse_session_speaks_utc() {
    let db = Database::create("connect");
    block_on(async {
        let session = warehouse(&db).await;
        assert_eq!(one(&session, "SHOW TimeZone").await, "UTC");
        assert_eq!(one(&session, "SHOW search_path").await, "pg_catalog");
        assert_eq!(one(&session, "SHOW tcp_keepalives_idle").await, "30");
        assert_eq!(
            one(&session, "SHOW client_connection_check_interval").await,
            "10s"
        );
    });
}

#[test]
fn a_warehouse_that_is_not_utf8_is_refused() {
    let name = format!("latin_{}", server::unique());
    server::run(
        &server::url("postgres"),
        &format!("CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"),
    );
    let error = block_on(pg::connect(
        &access(&server::url(&name)),
        Purpose::Warehouse,
    ))
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("LATIN1"), "{error}");
}

#[test]
fn bytes_go_through_copy_as_they_are() {
    let db = Database::create("copy");
    db.run("CREATE TABLE t (a int, b text); CREATE TABLE u (LIKE t)");
    db.run("INSERT INTO t SELECT i, repeat('x', i % 700) FROM generate_series(1, 5000) i");
    block_on(async {
        let session = warehouse(&db).await;
        let out = "COPY public.t TO STDOUT (FORMAT binary)";
        let bytes = copied(&session, out).await.unwrap();
        assert!(bytes.len() > 1_000_000, "larger than a slice");
        let mut copy = session
            .copy_in("COPY public.u FROM STDIN (FORMAT binary)")
            .await
            .unwrap();
        copy.send(Bytes::from(bytes.clone())).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 5000);
        let back = copied(&session, "COPY public.u TO STDOUT (FORMAT binary)")
            .await
            .unwrap();
        assert_eq!(bytes, back);
        // Nothing is prepared any more, and the session goes on.
        assert_eq!(
            one(&session, "SELECT count(*) FROM pg_prepared_statements").await,
            "0"
        );
    });
}

#[test]
fn a_copy_in_that_is_dropped_leaves_no_row() {
    let db = Database::create("copy");
    db.run("CREATE TABLE t (a int)");
    block_on(async {
        let session = warehouse(&db).await;
        let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
        copy.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
        drop(copy);
        assert_eq!(one(&session, "SELECT count(*) FROM public.t").await, "0");
    });
}

#[test]
fn what_the_server_has_against_copied_rows_comes_out_without_their_values() {
    let db = Database::create("copy");
    db.run("CREATE TABLE t (a int, price int CHECK (price < 100))");
    block_on(async {
        let session = warehouse(&db).await;
        for (rows, code, part) in [
            ("1\thunter2\n", "22P02", "price"),
            ("1\t424242\n", "23514", "t_price_check"),
        ] {
            let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
            let mut text = "1\t2\n".repeat(200_000);
            text.push_str(rows);
            text.push_str(&"1\t2\n".repeat(200_000));
            let sent = copy.send(Bytes::from(text)).await;
            let error = match sent {
                Ok(()) => copy.finish().await.unwrap_err(),
                Err(e) => e,
            };
            assert_eq!((error.sqlstate(), error.kind()), (Some(code), Kind::Sql));
            assert!(!error.is_transient());
            assert!(error.message().contains(part), "{error}");
            let all = format!("{error} {:?}", error.hint());
            assert!(!all.contains("hunter2") && !all.contains("424242"), "{all}");
            assert!(
                error.detail().is_some_and(|d| d.contains("line 200001")),
                "{error:?}"
            );
        }
        assert_eq!(one(&session, "SELECT count(*) FROM public.t").await, "0");
    });
}

#[test]
fn an_error_in_a_copy_in_stops_the_sending() {
    let db = Database::create("copy");
    db.run("CREATE TABLE t (a int)");
    block_on(async {
        let session = warehouse(&db).await;
        let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
        copy.send(Bytes::from_static(b"x\n")).await.unwrap();
        let some = Bytes::from("1\n".repeat(100_000));
        let start = Instant::now();
        let error = loop {
            assert!(start.elapsed() < Duration::from_secs(5), "still sending");
            if let Err(e) = copy.send(some.clone()).await {
                break e;
            }
        };
        assert_eq!(error.sqlstate(), Some("22P02"), "{error}");
        drop(copy);
        assert_eq!(one(&session, "SELECT count(*) FROM public.t").await, "0");
    });
}

#[test]
fn a_backend_killed_in_the_middle_of_a_copy_is_worth_a_retry() {
    let db = Database::create("copy");
    db.run("CREATE TABLE t (a text)");
    block_on(async {
        let session = warehouse(&db).await;
        let other = warehouse(&db).await;
        let pid = one(&session, "SELECT pg_backend_pid()").await;
        let kill = format!("SELECT pg_terminate_backend({pid}, 5000)");

        let mut copy = session.copy_in("COPY public.t FROM STDIN").await.unwrap();
        copy.send(Bytes::from("x\n".repeat(300_000))).await.unwrap();
        assert_eq!(one(&other, &kill).await, "t");
        let error = loop {
            match copy.send(Bytes::from("x\n".repeat(300_000))).await {
                Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(e) => break e,
            }
        };
        // The server's last word is lost when bytes of ours, that it never read, make the kernel reset the connection.
        assert_eq!(error.kind(), Kind::Connect, "{error}");
        assert!(error.is_transient(), "{error}");
        drop(copy);
        assert!(session.is_closed());

        let session = warehouse(&db).await;
        let pid = one(&session, "SELECT pg_backend_pid()").await;
        let mut out = session
            .copy_out("COPY (SELECT repeat('x', 1000), generate_series(1, 10000000)) TO STDOUT")
            .await
            .unwrap();
        out.next().await.unwrap().unwrap();
        one(&other, &format!("SELECT pg_terminate_backend({pid})")).await;
        let error = loop {
            match out.next().await.expect("an end with an error") {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), Kind::Connect, "{error}");
        assert!(error.is_transient(), "{error}");
        assert!(out.next().await.is_none());
    });
}

#[test]
fn an_idle_session_that_was_killed_says_why() {
    let db = Database::create("connect");
    block_on(async {
        let session = source(&db.url()).await.unwrap();
        let other = source(&db.url()).await.unwrap();
        let pid = one(&session, "SELECT pg_backend_pid()").await;
        one(&other, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
        let error = session.batch("SELECT 1").await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("57P01"), "{error}");
        assert!(error.is_transient());
    });
}

#[test]
fn a_cancelled_and_a_timed_out_statement_may_be_tried_again() {
    let db = Database::create("connect");
    block_on(async {
        let session = source(&db.url()).await.unwrap();
        let other = source(&db.url()).await.unwrap();
        let asleep = asleep(&session).await;
        let error = cancelled(&session, &other, &asleep).await;
        assert_eq!(error.sqlstate(), Some("57014"));
        // The server reports both by one code and one routine.
        assert!(error.is_transient());
        let error = session
            .batch("BEGIN; SET LOCAL statement_timeout = 20; SELECT pg_sleep(20)")
            .await
            .unwrap_err();
        assert_eq!(error.sqlstate(), Some("57014"));
        assert!(error.is_transient());
    });
}

#[test]
fn the_statement_after_a_cancelled_one_is_left_alone() {
    let db = Database::create("connect");
    block_on(async {
        let session = source(&db.url()).await.unwrap();
        let other = source(&db.url()).await.unwrap();
        let asleep = asleep(&session).await;
        // The server signals twice; how far apart is up to its scheduler.
        for _ in 0..100 {
            cancelled(&session, &other, &asleep).await;
            session.batch("SELECT pg_sleep(0.005)").await.unwrap();
        }
    });
}

#[test]
fn a_transaction_whose_statement_was_dropped_is_never_continued() {
    let db = Database::create("connect");
    block_on(async {
        let session = warehouse(&db).await;
        session
            .batch("CREATE TABLE public.kept (n int)")
            .await
            .unwrap();
        session
            .batch("BEGIN; CREATE TABLE public.half (n int)")
            .await
            .unwrap();
        let slow = session.batch("INSERT INTO public.kept SELECT 1 FROM pg_sleep(0.5)");
        tokio::time::timeout(Duration::from_millis(100), slow)
            .await
            .unwrap_err();
        // As the next user of the session would: one with a transaction, one without.
        session
            .batch("BEGIN; INSERT INTO public.kept VALUES (2); COMMIT")
            .await
            .unwrap();
        session
            .batch("BEGIN; INSERT INTO public.kept VALUES (3)")
            .await
            .unwrap();
        let slow = session.query("SELECT pg_sleep(0.5)", &[]);
        tokio::time::timeout(Duration::from_millis(100), slow)
            .await
            .unwrap_err();
        session
            .execute("INSERT INTO public.kept VALUES (4)", &[])
            .await
            .unwrap();
        let kept = one(
            &session,
            "SELECT string_agg(n::text, ',' ORDER BY n) FROM public.kept",
        )
        .await;
        assert_eq!(kept, "2,4");
        let half = one(&session, "SELECT to_regclass('public.half') IS NULL").await;
        assert_eq!(half, "t");
    });
}

#[test]
fn a_session_dropped_in_a_copy_out_does_not_read_the_rest() {
    let db = Database::create("connect");
    block_on(async {
        let session = source(&db.url()).await.unwrap();
        let other = source(&db.url()).await.unwrap();
        let pid = one(&session, "SELECT pg_backend_pid()").await;
        let mut out = session
            .copy_out("COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT")
            .await
            .unwrap();
        out.next().await.unwrap().unwrap();
        drop(out);
        drop(session);
        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        let start = Instant::now();
        while one(&other, &gone).await != "0" {
            assert!(start.elapsed() < Duration::from_secs(5), "still copying");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_wrong_login_says_what_to_mend_and_hides_the_password() {
    let db = Database::create("connect");
    block_on(async {
        let url = db.url().replace(&db.name, "no_such_database");
        let error = source(&url).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.sqlstate()),
            (Kind::Connect, Some("3D000"))
        );
        assert!(!error.is_transient() && error.hint().is_some());

        let port = server::port();
        let url = Url::parse(&format!(
            "postgres://u:hunter2@127.0.0.1:{port}/x?sslmode=disable"
        ))
        .unwrap();
        let access = Access::new(url, Password::Value("hunter3".to_owned().into()));
        let error = pg::connect(&access, Purpose::Source).await.unwrap_err();
        let all = format!("{access:?} {} {}", access.url.redacted(), shown(&error));
        assert!(
            !all.contains("hunter2") && !all.contains("hunter3"),
            "{all}"
        );
    });
}

#[test]
fn a_server_that_says_nothing_does_not_hold_us() {
    block_on(async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        for mode in ["disable", "prefer"] {
            let start = Instant::now();
            let url = format!("host=127.0.0.1 port={port} user=u connect_timeout=1 sslmode={mode}");
            let error = source(&url).await.unwrap_err();
            assert!(start.elapsed() < Duration::from_secs(3));
            assert_eq!(error.kind(), Kind::Connect);
            assert!(error.is_transient());
            assert!(
                error.to_string().contains("no answer within 1 s"),
                "{error}"
            );
        }
    });
}

#[test]
fn nobody_there_is_worth_a_retry_and_the_next_host_is_tried() {
    let db = Database::create("connect");
    let full = format!("full_{}", server::unique());
    db.run(&format!("CREATE ROLE {full} LOGIN CONNECTION LIMIT 0"));
    block_on(async {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = free.local_addr().unwrap().port();
        drop(free);
        let error = source(&format!("host=127.0.0.1 port={dead} user=u"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Connect);
        assert!(error.is_transient(), "{error}");
        let live = server::port();
        let both = format!(
            "postgres://postgres@127.0.0.1:{dead},127.0.0.1:{live}/{}",
            db.name
        );
        let session = source(&both).await.unwrap();
        assert_eq!(session.endpoint(), format!("127.0.0.1:{live}"));
        assert!(
            source(&format!("{both}?target_session_attrs=primary"))
                .await
                .is_ok()
        );
        assert!(
            source(&format!("{both}?target_session_attrs=prefer-standby"))
                .await
                .is_ok()
        );
        let error = source(&format!("{both}?target_session_attrs=standby"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("be a standby"), "{error}");
        // Of two hosts, the one that answers says what is wrong.
        for both in [
            format!("{dead},127.0.0.1:{live}"),
            format!("{live},127.0.0.1:{dead}"),
        ] {
            let error = source(&format!("postgres://{full}@127.0.0.1:{both}/{}", db.name))
                .await
                .unwrap_err();
            assert_eq!(error.sqlstate(), Some("53300"), "{error}");
            assert!(error.is_transient(), "{error}");
        }
    });
    db.run(&format!("DROP ROLE {full}"));
}

async fn described(db: &Database, query: &str) -> Result<Vec<SourceColumn>> {
    let session = source(&db.url()).await?;
    session
        .batch("BEGIN READ ONLY; SET LOCAL search_path = public")
        .await?;
    let found = pg::describe(&session, query).await;
    session.batch("ROLLBACK").await?;
    // Whatever came out of it, nothing is left prepared; nor does it need a transaction.
    assert_eq!(
        one(&session, "SELECT count(*) FROM pg_prepared_statements").await,
        "0"
    );
    let alone = pg::describe(&session, query).await;
    assert_eq!(alone.ok(), found.as_ref().ok().cloned());
    found
}

#[test]
fn a_query_is_described_without_being_run() {
    let db = Database::create("describe");
    db.run("CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN cents AS numeric(10,2)");
    db.run("CREATE TABLE t (id int, name varchar(20), price numeric(10,2), m mood, c char(3), d cents, \
            ts timestamp(3), tags varchar(5)[], \"Odd \"\"Name\" text)");
    db.run("INSERT INTO t DEFAULT VALUES");
    db.run("CREATE FUNCTION boom() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'run'; END$$");
    let query = "SELECT t.*, boom() AS b, 'x' AS lit FROM t -- the end";
    let columns = block_on(described(&db, query)).unwrap();
    let rows: Vec<(&str, &str, String, String)> = columns
        .iter()
        .map(|c| {
            let text = |t: Option<dayhaul::schema::PgType>| t.map_or("-".into(), |t| t.to_string());
            (
                c.name.as_str(),
                c.type_name.as_str(),
                text(c.ty),
                text(c.modifier),
            )
        })
        .collect();
    let want = [
        ("id", "integer", "integer", "-"),
        ("name", "character varying(20)", "varchar", "varchar(20)"),
        ("price", "numeric(10,2)", "numeric", "numeric(10,2)"),
        ("m", "public.mood", "-", "-"),
        ("c", "character(3)", "-", "-"),
        ("d", "public.cents", "-", "-"),
        ("ts", "timestamp(3) without time zone", "timestamp", "-"),
        ("tags", "character varying(5)[]", "varchar[]", "-"),
        ("Odd \"Name", "text", "text", "-"),
        ("b", "integer", "integer", "-"),
        ("lit", "text", "text", "-"),
    ];
    let short = |name: &str| name.trim_start_matches("public.").to_owned();
    assert_eq!(rows.len(), want.len());
    for (got, want) in rows.iter().zip(want) {
        assert_eq!(
            (got.0, short(got.1), got.2.as_str(), got.3.as_str()),
            (want.0, short(want.1), want.2, want.3)
        );
    }
}

#[test]
fn a_query_that_cannot_be_described_says_where_it_is_wrong() {
    let db = Database::create("describe");
    db.run("CREATE TABLE t (id int)");
    for (query, part) in [
        ("SELECT id,\n  nmae\nFROM t", "line 2 of the query"),
        ("SELECT id\nFROM t\nWHERE (id = 1", "the query"),
        ("SELECT id, 1 AS id FROM t", "`id`"),
        ("SELECT 1, 2", "`?column?`"),
        ("SELECT FROM t", "no columns"),
    ] {
        let error = block_on(described(&db, query)).unwrap_err();
        assert!(error.to_string().contains(part), "{query}: {error}");
    }
}
