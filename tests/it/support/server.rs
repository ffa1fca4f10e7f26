//! The one PostgreSQL server of all tests, and databases on it.
//!
//! The server starts with the first test that needs it and ends with the run (see `shared`). Its time zone is deliberately not
//! UTC: whatever leans on the session's zone must fail here.
//!
//! SQL runs through tokio-postgres directly, not through the crate's own `pg`: what checks must not lean on what is
//! checked. Everything blocks; tests that need a runtime of their own connect to [`Database::url`].

use crate::support::shared::{keep, shared};
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// Runs async code from a test; not to be called from within a runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Runtime::new().expect("a runtime"))
        .block_on(future)
}

/// A number that no other call in this run gets, whichever process makes it: for names of databases and roles, which all
/// tests share.
pub fn unique() -> u32 {
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // Processes count up to 4,194,304 at most, on Linux.
    std::process::id().wrapping_mul(1000).wrapping_add(next)
}

/// The port of the shared server, started by now.
pub fn port() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let port = shared("server", "support::server::keeper_of_the_server");
        port.parse().expect("a port")
    })
}

/// The URL of a database on the shared server, as its superuser.
pub fn url(database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{}/{database}", port())
}

#[test]
#[ignore = "not a test: keeps the server of all tests"]
fn keeper_of_the_server() {
    keep(|folder| {
        let mut settings = THROW_AWAY.to_vec();
        settings.extend([
            ("max_connections", "200"),
            ("timezone", "America/New_York"),
            ("log_min_messages", "error"),
        ]);
        let programs = Programs::find().expect("PostgreSQL server programs");
        let cluster = Cluster::start(&programs, folder, &settings).expect("the tests' server");
        let port = cluster.port().to_string();
        (cluster, port)
    });
}

/// A database of its own on the shared server.
#[derive(Debug, Clone)]
pub struct Database {
    pub name: String,
    port: u16,
}

impl Database {
    /// A fresh UTF-8 database, named `<name>_<number>`.
    pub fn create(name: &str) -> Database {
        let name = format!("{name}_{}", unique());
        run(&url("postgres"), &format!("CREATE DATABASE \"{name}\""));
        Database { name, port: port() }
    }

    /// The database `postgres` of a cluster of the test's own.
    pub fn of(cluster: &Cluster) -> Database {
        Database {
            name: "postgres".to_owned(),
            port: cluster.port(),
        }
    }

    /// A fresh database of exactly this name on a cluster of the test's own.
    pub fn created_in(cluster: &Cluster, name: &str) -> Database {
        run(
            &cluster.url("postgres"),
            &format!("CREATE DATABASE \"{name}\""),
        );
        Database {
            name: name.to_owned(),
            port: cluster.port(),
        }
    }

    /// A fresh database of the encoding that takes any bytes for text.
    pub fn create_ascii(name: &str) -> Database {
        let name = format!("{name}_{}", unique());
        let how = "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
        run(
            &url("postgres"),
            &format!("CREATE DATABASE \"{name}\" {how}"),
        );
        Database { name, port: port() }
    }

    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// The same database in a session whose time zone is UTC.
    pub fn url_utc(&self) -> String {
        format!("{}?options=-c%20TimeZone%3DUTC", self.url())
    }

    /// The same database as another role (the server trusts everybody).
    pub fn url_as(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        run(&self.url(), sql);
    }

    /// Rows as text, as `psql -At` would show them; null is `None`.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        rows(&self.url(), sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"))
    }

    /// The first column of the only row, as text.
    pub fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0][0].clone().unwrap_or_default()
    }

    /// Feeds `COPY … FROM STDIN`; the number of rows.
    pub fn copy_in(&self, sql: &str, data: impl Into<bytes::Bytes>) -> u64 {
        use futures::SinkExt;
        block_on(async {
            let client = connect(&self.url()).await.expect("a connection");
            let sink = client.copy_in(sql).await.expect(sql);
            futures::pin_mut!(sink);
            sink.send(data.into()).await.expect(sql);
            sink.finish().await.expect(sql)
        })
    }
}

/// A cluster of the test's own with a setting more; its folder has to outlive it.
pub fn own(setting: (&'static str, &'static str)) -> (tempfile::TempDir, Cluster) {
    let dir = tempfile::tempdir().unwrap();
    let settings = [&THROW_AWAY[..], &[setting]].concat();
    let cluster = Cluster::start(&Programs::find().unwrap(), dir.path(), &settings).unwrap();
    (dir, cluster)
}

/// Holds a lock in a session of its own until it is dropped.
pub struct Holder(Client);

impl Holder {
    pub fn new(database: &Database, sql: &str) -> Holder {
        Holder::at(&database.url(), sql)
    }

    pub fn at(url: &str, sql: &str) -> Holder {
        block_on(async {
            let client = connect(url).await.unwrap();
            client
                .batch_execute(&format!("BEGIN; {sql}"))
                .await
                .unwrap();
            Holder(client)
        })
    }

    pub fn commit(self) {
        block_on(self.0.batch_execute("COMMIT")).unwrap();
    }

    pub fn let_go(self) {
        block_on(self.0.batch_execute("ROLLBACK")).unwrap();
    }
}

/// Runs statements at a URL.
pub fn run(url: &str, sql: &str) {
    block_on(async {
        let client = connect(url).await.expect("a connection");
        if let Err(e) = client.batch_execute(sql).await {
            panic!("{sql}: {e:?}");
        }
    });
}

/// Rows as text at a URL, or the server's error: for tests of rights.
pub fn rows(url: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    block_on(async {
        let messages = connect(url).await?.simple_query(sql).await?;
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|i| row.get(i).map(str::to_owned))
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    })
}

/// A plain connection, driven by the runtime it is made in.
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The shared server's version, as `server_version_num`.
pub fn version() -> u32 {
    let rows = rows(&url("postgres"), "SHOW server_version_num").expect("a version");
    rows[0][0]
        .as_deref()
        .expect("a version")
        .parse()
        .expect("a number")
}
