//! A session: one connection, its statements, and the task that carries its bytes.

pub mod cancel;
pub mod cancel_on_drop;
pub mod copy;
mod ending;
mod place;
pub mod route;
mod silence;
mod unanswered;

use super::net::server_errors::Heard;
use super::places::Place;
use crate::config::Schemas;
use crate::error::{Error, Kind, Result, Side};
use crate::sql::ident;
use cancel::Canceller;
use copy::{CopyIn, CopyOut};
use ending::Ending;
use place::Keeper;
use postgres_types::ToSql;
use route::Route;
use silence::unless_silent;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Connection, Row, SimpleQueryMessage};
use unanswered::Unanswered;

/// One connection to a server. Its statements run one after the other. A transaction whose statement was dropped before its
/// answer is rolled back before the next statement.
///
/// Dropped in the middle of a COPY OUT, it cuts the connection instead of reading the rest.
pub struct Session {
    client: Client,
    ending: Ending,
    task: AbortHandle,
    abandoned: Arc<AtomicBool>,
    unanswered: Unanswered,
    keeper: Keeper,
    route: Arc<Route>,
    endpoint: String,
    version: u32,
    parameters: HashMap<&'static str, String>,
    schemas: Schemas,
    /// The catalog's schema, quoted.
    catalog: String,
}

/// The parameters that are kept of those that a server reports when a session begins.
const REPORTED: [&str; 3] = [
    "server_version",
    "server_encoding",
    "standard_conforming_strings",
];

/// What a simple query returned: text values of the last statement that returned rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimpleRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl SimpleRows {
    /// The value in a row and column; `None` for NULL and for what is not there.
    pub fn value(&self, row: usize, column: usize) -> Option<&str> {
        self.rows.get(row)?.get(column)?.as_deref()
    }
}

impl Session {
    pub fn start<S, T>(
        client: Client,
        connection: Connection<S, T>,
        heard: Arc<Heard>,
        route: Route,
    ) -> Session
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let parameters: HashMap<&'static str, String> = REPORTED
            .into_iter()
            .filter_map(|name| Some((name, connection.parameter(name)?.to_owned())))
            .collect();
        let schemas = Schemas::default();
        let (sender, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let end = connection.await.err().map(Arc::new);
            // The receiver may be gone; then the result does not matter.
            let _ = sender.send(Some(end));
        });
        Session {
            client,
            ending: Ending::new(ended, heard),
            task: task.abort_handle(),
            abandoned: Arc::new(AtomicBool::new(false)),
            unanswered: Unanswered::default(),
            keeper: Keeper::default(),
            endpoint: route.host.to_string(),
            version: parameters.get("server_version").map_or(0, |v| version(v)),
            route: Arc::new(route),
            parameters,
            catalog: ident(&schemas.catalog),
            schemas,
        }
    }

    /// Sets the side that its errors name.
    pub fn set_side(&mut self, side: Side) {
        self.ending.set_side(side);
    }

    /// Keeps its place at the server until its connection has ended.
    pub fn keep(&self, place: Place) {
        let ended = self.ending.clone().wait();
        self.keeper.keep(place, ended, self.task.clone());
    }

    /// It is between two transactions and is not used for now: it ends when somebody waits for its place.
    pub fn rest(&self) {
        self.keeper.rest();
    }

    /// Takes a session up again. Whether it can be used.
    pub fn resume(&self) -> bool {
        self.keeper.resume() && !self.is_closed()
    }

    /// Sets the schemas that the statements of the catalog's and the warehouse's functions name.
    pub fn set_schemas(&mut self, schemas: Schemas) {
        self.catalog = ident(&schemas.catalog);
        self.schemas = schemas;
    }

    /// The schemas of the catalog and of the public views.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// The catalog's schema as statements name it, quoted.
    pub fn catalog(&self) -> &str {
        &self.catalog
    }

    /// An error that this session's answers caused, with its side.
    pub fn on_side(&self, error: Error) -> Error {
        self.ending.on_side(error)
    }

    /// Runs statements separated by `;` (simple protocol).
    ///
    /// # Errors
    /// The server's, in the first statement that fails.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        self.answer(self.client.batch_execute(sql)).await
    }

    /// Runs statements (simple protocol) and returns what the last one that returns rows returned.
    ///
    /// # Errors
    /// The server's.
    pub async fn simple(&self, sql: &str) -> Result<SimpleRows> {
        self.told(self.simple_raw(sql).await).await
    }

    /// As [`Session::simple`], with the driver's error, which knows the position in the text.
    pub async fn simple_raw(&self, sql: &str) -> Result<SimpleRows, tokio_postgres::Error> {
        Ok(self.simple_all_raw(sql).await?.pop().unwrap_or_default())
    }

    /// As [`Session::simple`], with what each of the statements returned that return rows.
    ///
    /// # Errors
    /// The server's.
    pub async fn simple_all(&self, sql: &str) -> Result<Vec<SimpleRows>> {
        self.told(self.simple_all_raw(sql).await).await
    }

    async fn simple_all_raw(&self, sql: &str) -> Result<Vec<SimpleRows>, tokio_postgres::Error> {
        let mut found: Vec<SimpleRows> = Vec::new();
        let messages = self.client.simple_query(sql);
        for message in self.answer_raw(messages).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => found.push(SimpleRows {
                    columns: columns.iter().map(|c| c.name().to_owned()).collect(),
                    rows: Vec::new(),
                }),
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|i| row.get(i).map(str::to_owned));
                    if let Some(of_statement) = found.last_mut() {
                        of_statement.rows.push(values.collect());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Runs one statement with parameters. Prepares it first: for the warehouse only.
    ///
    /// # Errors
    /// The server's.
    pub async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.answer(self.client.query(sql, params)).await
    }

    /// As [`Session::query`], for exactly one row.
    ///
    /// # Errors
    /// The server's; none or several rows.
    pub async fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        self.query_opt(sql, params)
            .await?
            .ok_or_else(|| self.on_side(Error::new(Kind::Sql, "the query returned no row")))
    }

    /// As [`Session::query`], for at most one row.
    ///
    /// # Errors
    /// The server's; several rows.
    pub async fn query_opt(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>> {
        let mut rows = self.query(sql, params).await?;
        if rows.len() > 1 {
            let message = format!("the query returned {} rows, not one", rows.len());
            return Err(self.on_side(Error::new(Kind::Sql, message)));
        }
        Ok(rows.pop())
    }

    /// Runs one statement with parameters; returns the number of rows it changed.
    ///
    /// # Errors
    /// The server's.
    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.answer(self.client.execute(sql, params)).await
    }

    /// As [`Session::query`] without parameters, through the unnamed statement: nothing to lose behind a pooler.
    pub async fn query_unnamed(&self, sql: &str) -> Result<Vec<Row>> {
        self.answer(self.client.query_typed(sql, &[])).await
    }

    /// Starts `COPY … TO STDOUT`. The driver prepares a statement under a name and closes it as soon as the COPY has
    /// begun, so its Close is sent before whatever comes next: within a transaction, a pooler sees none of it.
    ///
    /// # Errors
    /// The server's.
    pub async fn copy_out(&self, sql: &str) -> Result<CopyOut> {
        let stream = self.answer(self.client.copy_out(sql)).await?;
        Ok(CopyOut::new(
            stream,
            self.ending.clone(),
            self.abandoned.clone(),
        ))
    }

    /// Starts `COPY … FROM STDIN`.
    ///
    /// # Errors
    /// The server's.
    pub async fn copy_in(&self, sql: &str) -> Result<CopyIn> {
        let sink = self.answer(self.client.copy_in(sql)).await?;
        Ok(CopyIn::new(sink, self.ending.clone()))
    }

    /// A handle that can cancel what this session is doing, from another task.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            token: self.client.cancel_token(),
            route: self.route.clone(),
        }
    }

    /// Ends a session that may be in the middle of a statement, and waits until the server has let go: cancels what it
    /// is doing and rolls back, so that no lock outlives the call. Bound it with a timeout.
    pub async fn abort(self) {
        if self.is_closed() {
            return;
        }
        // Either fails when the connection is lost; the server then rolls back by itself.
        if self.canceller().cancel().await.is_ok() && !self.abandoned.load(Ordering::Relaxed) {
            let _ = self.batch("ROLLBACK").await;
        }
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// As `server_version_num`: 150018 for 15.18.
    pub fn server_version(&self) -> u32 {
        self.version
    }

    /// `host:port`, as in the connection string.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many of `jobs` statements that compute are worth sending at once: a server on this machine has its cores.
    pub fn side_by_side(&self, jobs: usize) -> usize {
        let cores = || std::thread::available_parallelism().map_or(jobs, usize::from);
        if self.route.address.is_local() {
            jobs.min(cores()).max(1)
        } else {
            jobs.max(1)
        }
    }

    /// A parameter that the server reported when the session began.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The answer to a statement; one that was dropped before is rolled back first.
    async fn answer<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        self.told(self.answer_raw(statement).await).await
    }

    /// As [`Session::answer`], with the driver's error. A server that answers nothing any more, on no connection, is not
    /// waited for: the session ends.
    async fn answer_raw<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let mut answer = std::pin::pin!(self.unanswered.run(&self.client, statement));
        if let Some(answer) = unless_silent(&self.route, &mut answer).await {
            return answer;
        }
        self.ending.heard().found_silent();
        self.task.abort();
        answer.await
    }

    async fn told<T>(&self, result: Result<T, tokio_postgres::Error>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(e) => Err(self.explain(e).await),
        }
    }

    /// The driver's error in our words.
    pub async fn explain(&self, e: tokio_postgres::Error) -> Error {
        self.ending.explain(e).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            self.task.abort();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.endpoint)
    }
}

/// `15.18 (Debian 15.18-0+deb12u1)` → 150018, `16beta1` → 160000. Since PostgreSQL 10 there are two numbers.
fn version(text: &str) -> u32 {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let major = numbers.next().unwrap_or(0);
    let minor = if text.contains("beta") || text.contains("rc") || text.contains("devel") {
        0
    } else {
        numbers.next().unwrap_or(0)
    };
    major * 10_000 + minor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_the_server_writes_it() {
        for (text, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("12.22", 120_022),
            ("18beta1", 180_000),
            ("9.6.24", 90_006),
            ("", 0),
        ] {
            assert_eq!(version(text), number, "{text}");
        }
    }
}
