//! A real PgBouncer between: tenants work in every mode that has transactions, the warehouse in session mode only.

use crate::support::server::{self, Database, block_on};
use crate::support::sessions::{access, one, source};
use dayhaul::error::Kind;
use dayhaul::pg::{self, Session};
use futures::TryStreamExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A pooler before a server, ended when dropped.
pub struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// Before the shared server.
    fn start(mode: &str) -> Option<Pooler> {
        // Fewer server connections than the tests have sessions, so that they must share.
        let size = if mode == "session" { 20 } else { 3 };
        let more = format!("default_pool_size = {size}\n");
        Pooler::before(server::port(), mode, &more)
    }

    /// `None`, said aloud, where the program is not installed.
    pub fn before(server: u16, mode: &str, more: &str) -> Option<Pooler> {
        let Some(program) = program() else {
            println!("skipped: PgBouncer is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(folder.path(), 0o755);
        let port = free_port();
        let users = folder.path().join("users");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\n{more}",
            users.display(),
        );
        std::fs::write(&settings, text).unwrap();
        set(&users, 0o644);
        set(&settings, 0o644);
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg("-q")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Pooler {
            child,
            port,
            _folder: folder,
        };
        pooler.wait();
        Some(pooler)
    }

    fn wait(&self) {
        for _ in 0..250 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("PgBouncer does not listen");
    }

    pub fn url(&self, db: &Database) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, db.name)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([
            PathBuf::from("/usr/sbin"),
            PathBuf::from("/opt/homebrew/bin"),
        ])
        .map(|dir| dir.join("pgbouncer"))
        .find(|p| p.exists())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What a run does at a tenant: describe, then a window in a transaction with settings of its own.
async fn haul(session: &Session) -> usize {
    let query = "SELECT id, name FROM t";
    let columns = pg::describe(session, query).await.unwrap();
    assert_eq!(columns[1].modifier.unwrap().to_string(), "varchar(20)");
    session
        .batch("BEGIN READ ONLY; SET LOCAL TimeZone = 'UTC'; SET LOCAL statement_timeout = '10s'")
        .await
        .unwrap();
    let copied: Vec<bytes::Bytes> = session
        .copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT binary)"))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    session.batch("COMMIT").await.unwrap();
    let left = one(session, "SELECT count(*) FROM pg_prepared_statements").await;
    assert_eq!(left, "0", "a statement stays prepared");
    let zone = one(session, "SHOW TimeZone").await;
    assert_eq!(zone, "America/New_York", "a setting stays");
    copied.iter().map(bytes::Bytes::len).sum()
}

fn a_tenant_works_behind(mode: &str) {
    let Some(pooler) = Pooler::start(mode) else {
        return;
    };
    let db = Database::create("pooled");
    db.run("CREATE TABLE t AS SELECT i AS id, repeat('x', 20)::varchar(20) AS name FROM generate_series(1, 2000) i");
    let url = pooler.url(&db);
    block_on(async {
        let workers: Vec<_> = (0..6)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move {
                    let session = source(&url).await.unwrap();
                    let mut bytes = Vec::new();
                    for _ in 0..10 {
                        bytes.push(haul(&session).await);
                    }
                    bytes
                })
            })
            .collect();
        for worker in workers {
            let bytes = worker.await.unwrap();
            // Header, 2000 rows of 34 bytes, trailer.
            assert_eq!(bytes, vec![19 + 2000 * 34 + 2; 10]);
        }
    });
}

#[test]
fn a_tenant_works_behind_a_transaction_pooler() {
    a_tenant_works_behind("transaction");
}

#[test]
fn a_tenant_works_behind_a_session_pooler() {
    a_tenant_works_behind("session");
}

#[test]
fn a_failed_query_behind_a_transaction_pooler_leaves_nothing_behind() {
    let Some(pooler) = Pooler::start("transaction") else {
        return;
    };
    let db = Database::create("pooled");
    block_on(async {
        let session = source(&pooler.url(&db)).await.unwrap();
        for _ in 0..3 {
            pg::describe(&session, "SELECT nothing").await.unwrap_err();
            session.batch("BEGIN READ ONLY").await.unwrap();
            let error = async {
                let stream = session
                    .copy_out("COPY (SELECT 1 / (id - 5) FROM generate_series(1, 9) id) TO STDOUT")
                    .await?;
                stream.try_collect::<Vec<_>>().await
            };
            assert_eq!(error.await.unwrap_err().sqlstate(), Some("22012"));
            session.batch("ROLLBACK").await.unwrap();
            assert_eq!(
                one(&session, "SELECT count(*) FROM pg_prepared_statements").await,
                "0"
            );
        }
    });
}

#[test]
fn a_warehouse_is_refused_behind_a_pooler_that_splits_sessions() {
    for mode in ["transaction", "statement"] {
        let Some(pooler) = Pooler::start(mode) else {
            return;
        };
        let db = Database::create("pooled");
        for _ in 0..3 {
            let found = block_on(pg::connect_unpooled(&access(&pooler.url(&db))));
            let error = found.expect_err(mode);
            assert_eq!(error.kind(), Kind::Refused, "{mode}: {error}");
            assert!(error.hint().unwrap().contains("session mode"), "{error}");
        }
    }
}

#[test]
fn a_warehouse_is_taken_behind_a_session_pooler_and_directly() {
    let db = Database::create("direct");
    block_on(pg::connect_unpooled(&access(&db.url()))).unwrap();
    let Some(pooler) = Pooler::start("session") else {
        return;
    };
    for _ in 0..3 {
        block_on(pg::connect_unpooled(&access(&pooler.url(&db)))).unwrap();
    }
    let session = block_on(pg::connect(
        &access(&pooler.url(&db)),
        pg::Purpose::Warehouse,
    ))
    .unwrap();
    assert_eq!(block_on(one(&session, "SHOW TimeZone")), "UTC");
}
