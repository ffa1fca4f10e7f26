//! What `tenant test` finds out about a tenant: can it be reached, read, and for which days. Reads only, leaves nothing,
//! and works behind a pooler.

use super::range::{self, Range};
use crate::catalog::{Tenant, access};
use crate::config::Settings;
use crate::error::{At, Error, Kind, Result};
use crate::pg::{self, Purpose, Session};
use crate::template::{Bindings, SOURCE_SETTINGS, Template, check_source, wrap};
use crate::unit::{Day, TemplateName, Window};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A probe that takes longer is given up: nobody waits minutes for a test.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

const ROUND_TRIPS: usize = 5;

/// What was found.
pub struct Check {
    pub tenant: Tenant,
    pub server: Result<Server>,
    pub templates: Vec<TemplateCheck>,
}

/// The tenant's server, as it presents itself.
pub struct Server {
    pub version: String,
    /// Median of a few round trips.
    pub latency: Duration,
    pub encoding: String,
    pub standby: bool,
    pub login: String,
}

pub struct TemplateCheck {
    pub template: TemplateName,
    /// Its query may be read, and its columns fit.
    pub readable: Result<()>,
    pub days: Days,
}

/// The days a template has rows for.
pub enum Days {
    /// Not looked for: the query cannot be read.
    NotTried,
    None,
    Exact(Range),
    /// From single days: right when there are no long gaps.
    About(Range),
    /// The server's own words why not.
    Unknown(Error),
}

impl Check {
    pub fn unreachable(&self) -> bool {
        self.server
            .as_ref()
            .is_err_and(|e| e.kind() == Kind::Connect)
    }

    pub fn failed(&self) -> bool {
        self.server.is_err() || self.templates.iter().any(|t| t.readable.is_err())
    }
}

/// Tests a tenant with the given templates. What fails is part of the result.
pub async fn check(tenant: Tenant, templates: &[Arc<Template>], settings: &Settings) -> Check {
    let (server, templates) = match connect(&tenant, settings).await {
        Ok((session, server)) => {
            let mut found = Vec::new();
            for template in templates {
                found.push(check_template(&session, &tenant, template, settings).await);
            }
            (Ok(server), found)
        }
        Err(e) => (Err(e), Vec::new()),
    };
    Check {
        tenant,
        server,
        templates,
    }
}

async fn connect(tenant: &Tenant, settings: &Settings) -> Result<(Session, Server)> {
    let place = || format!("tenant `{}`", tenant.name);
    let access = access(tenant, settings).await?;
    let session = pg::connect(&access, Purpose::Source).await.at(place)?;
    let server = look(&session).await.at(place)?;
    Ok((session, server))
}

async fn look(session: &Session) -> Result<Server> {
    let rows = session
        .simple(
            "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_encoding_to_char(encoding), \
                    pg_catalog.pg_is_in_recovery(), current_user \
             FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
        )
        .await?;
    let text = |column| rows.value(0, column).unwrap_or_default().to_owned();
    Ok(Server {
        // "15.18 (Debian 15.18-1)"
        version: text(0).split(' ').next().unwrap_or_default().to_owned(),
        latency: latency(session).await?,
        encoding: text(1),
        standby: text(2) == "t",
        login: text(3),
    })
}

async fn latency(session: &Session) -> Result<Duration> {
    let mut taken = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        session.simple("SELECT 1").await?;
        taken.push(start.elapsed());
    }
    taken.sort();
    Ok(taken[ROUND_TRIPS / 2])
}

async fn check_template(
    session: &Session,
    tenant: &Tenant,
    template: &Template,
    settings: &Settings,
) -> TemplateCheck {
    let source = Source {
        session,
        tenant,
        template,
        settings,
    };
    let place = || format!("tenant `{}`", tenant.name);
    let readable = source.read().await.at(place);
    let days = match readable {
        Ok(()) => source
            .days(Day::today())
            .await
            .at(place)
            .unwrap_or_else(Days::Unknown),
        Err(_) => Days::NotTried,
    };
    TemplateCheck {
        template: template.name.clone(),
        readable,
        days,
    }
}

/// One template at one tenant.
struct Source<'a> {
    session: &'a Session,
    tenant: &'a Tenant,
    template: &'a Template,
    settings: &'a Settings,
}

impl Source<'_> {
    /// Describes the query. The server checks the rights on every table in it, and reads no row.
    async fn read(&self) -> Result<()> {
        let query = self.bound(Window::single(Day::today()))?;
        let place = || format!("template `{}`", self.template.name);
        let columns = self
            .within(async || pg::describe(self.session, &query).await)
            .await
            .at(place)?;
        check_source(self.template, &columns).at(place)
    }

    async fn days(&self, today: Day) -> Result<Days> {
        if let Some(query) = &self.template.range_query {
            return self.asked(query).await;
        }
        let mut has_rows = async |window: Window| self.has_rows(window).await;
        Ok(if self.template.one_day_windows() {
            range::by_days(today, &mut has_rows)
                .await?
                .map_or(Days::None, Days::About)
        } else {
            range::by_windows(today, &mut has_rows)
                .await?
                .map_or(Days::None, Days::Exact)
        })
    }

    /// By the template's own query: one row of the first and the last time.
    async fn asked(&self, query: &str) -> Result<Days> {
        let query = query.trim().trim_end_matches(';');
        let rows = self
            .within(async || self.session.simple(query).await)
            .await?;
        let day = |column| -> Result<Option<Day>> {
            let Some(text) = rows.value(0, column) else {
                return Ok(None);
            };
            // A date or a timestamp; in UTC by the settings of the transaction.
            text.get(..10)
                .and_then(|d| d.parse().ok())
                .map(Some)
                .ok_or_else(|| {
                    Error::new(Kind::Data, "`range_query` gives a time that no day holds")
                        .with_hint("it returns one row of two columns: the first and the last time")
                })
        };
        Ok(match (day(0)?, day(1)?) {
            (Some(first), Some(last)) => Days::Exact((first, last)),
            _ => Days::None,
        })
    }

    async fn has_rows(&self, window: Window) -> Result<bool> {
        let query = self.bound(window)?;
        let sql = format!("SELECT EXISTS (SELECT FROM {})", wrap(&query));
        let rows = self
            .within(async || self.session.simple(&sql).await)
            .await?;
        Ok(rows.value(0, 0) == Some("t"))
    }

    fn bound(&self, window: Window) -> Result<String> {
        self.template.bind(&Bindings {
            window,
            schema: &self.tenant.schema,
            vars: &self.tenant.vars,
        })
    }

    /// Runs `work` in a read-only transaction with the settings that a load has.
    async fn within<T>(&self, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let limit = self.settings.load.statement_timeout;
        let limit = if limit.is_zero() {
            PROBE_TIMEOUT
        } else {
            limit.min(PROBE_TIMEOUT)
        };
        let begun = self
            .session
            .batch(&format!(
                "BEGIN READ ONLY; {SOURCE_SETTINGS} SET LOCAL statement_timeout = {}",
                limit.as_millis()
            ))
            .await;
        let result = match begun {
            Ok(()) => work().await,
            Err(e) => Err(e),
        };
        // After an error the first one says more than a failing ROLLBACK.
        let ended = self.session.batch("ROLLBACK").await;
        let value = result?;
        ended?;
        Ok(value)
    }
}
