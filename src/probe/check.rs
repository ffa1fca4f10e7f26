//! What `tenant test` finds out about a tenant: is it reachable and readable, and which days have rows?

use super::day_range::{self, DayRange};
use crate::catalog::{Tenant, access};
use crate::config::Settings;
use crate::engine::verify::rows_of_no_day::{self, RowsOfNoDay, limit};
use crate::error::{At, Error, Kind, Result};
use crate::pg::{self, Purpose, Session};
use crate::template::{Template, bind_query, check_source, has_rows_sql};
use crate::unit::{Day, TemplateName, Window};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUND_TRIPS: usize = 5;

/// The result of a test.
pub struct TenantCheck {
    pub tenant: Tenant,
    pub server: Result<TenantServer>,
    pub templates: Vec<TemplateCheck>,
}

/// What the tenant's server reports about itself.
pub struct TenantServer {
    pub version: String,
    /// Median of a few round trips.
    pub latency: Duration,
    pub encoding: String,
    pub standby: bool,
    pub login: String,
    /// The schemas that the login's own search path finds.
    pub search_path: Vec<String>,
}

pub struct TemplateCheck {
    pub template: TemplateName,
    /// The login may read its query, and the columns match.
    pub readable: Result<()>,
    pub days: DaysWithRows,
    /// Rows that no day has, or why they were not counted; `None` when the query cannot be read.
    pub rows_of_no_day: Option<Result<RowsOfNoDay>>,
}

/// The days that have rows.
pub enum DaysWithRows {
    /// The query cannot be read.
    NotTried,
    None,
    Exact(DayRange),
    /// From single days: correct when there are no long gaps.
    About(DayRange),
    /// The server's error.
    Unknown(Error),
}

impl DaysWithRows {
    pub fn range(&self) -> Option<DayRange> {
        match self {
            DaysWithRows::Exact(range) | DaysWithRows::About(range) => Some(*range),
            DaysWithRows::NotTried | DaysWithRows::None | DaysWithRows::Unknown(_) => None,
        }
    }
}

impl TenantCheck {
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
pub async fn check(
    mut tenant: Tenant,
    templates: &[Arc<Template>],
    settings: &Settings,
    today: Day,
) -> TenantCheck {
    let (server, templates) = match connect(&mut tenant, settings).await {
        Ok((session, server)) => {
            let mut found = Vec::new();
            for template in templates {
                found.push(check_template(&session, &tenant, template, settings, today).await);
            }
            (Ok(server), found)
        }
        Err(e) => (Err(e), Vec::new()),
    };
    TenantCheck {
        tenant,
        server,
        templates,
    }
}

/// A tenant that was not contacted before gets the login's search path.
async fn connect(tenant: &mut Tenant, settings: &Settings) -> Result<(Session, TenantServer)> {
    let name = tenant.name.clone();
    let place = || format!("tenant `{name}`");
    let access = access(tenant, settings).await?;
    let session = pg::connect(&access, Purpose::Source).await.at(place)?;
    let path = pg::source::login_search_path(&session).await.at(place)?;
    if let Some(decided) = tenant.search_path.decided(path.clone()) {
        tenant.search_path = decided;
    }
    tenant
        .transaction(limit(settings))
        .begin(&session)
        .await
        .at(place)?;
    let server = look(&session, path).await.at(place)?;
    session.batch("COMMIT").await.at(place)?;
    Ok((session, server))
}

async fn look(session: &Session, search_path: Vec<String>) -> Result<TenantServer> {
    let rows = session
        .simple(
            "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_encoding_to_char(encoding), \
                    pg_catalog.pg_is_in_recovery(), current_user \
             FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()",
        )
        .await?;
    let text = |column| rows.value(0, column).unwrap_or_default().to_owned();
    Ok(TenantServer {
        // "15.18 (Debian 15.18-1)"
        version: text(0).split(' ').next().unwrap_or_default().to_owned(),
        latency: latency(session).await?,
        encoding: text(1),
        standby: text(2) == "t",
        login: text(3),
        search_path,
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
    today: Day,
) -> TemplateCheck {
    let probe = TemplateProbe {
        session,
        tenant,
        template,
        settings,
        today,
    };
    let place = || format!("tenant `{}`", tenant.name);
    let readable = probe.read().await.at(place);
    let (days, rows_of_no_day) = match readable {
        Ok(()) => {
            let days = probe.days().await.at(place);
            let all = Window::new(day_range::oldest(), today.next());
            let outside = rows_of_no_day::count(session, tenant, template, all, settings).await;
            (
                days.unwrap_or_else(DaysWithRows::Unknown),
                Some(outside.at(place)),
            )
        }
        Err(_) => (DaysWithRows::NotTried, None),
    };
    TemplateCheck {
        template: template.name.clone(),
        readable,
        days,
        rows_of_no_day,
    }
}

/// One template at one tenant.
struct TemplateProbe<'a> {
    session: &'a Session,
    tenant: &'a Tenant,
    template: &'a Template,
    settings: &'a Settings,
    today: Day,
}

impl TemplateProbe<'_> {
    /// Describes the query. The server checks the rights on all its tables, and reads no rows.
    async fn read(&self) -> Result<()> {
        let query = self.bound(Window::single(self.today))?;
        let place = || format!("template `{}`", self.template.name);
        let columns = self
            .within(async || pg::describe(self.session, &query).await)
            .await
            .at(place)?;
        check_source(self.template, &columns).at(place)
    }

    async fn days(&self) -> Result<DaysWithRows> {
        if let Some(query) = &self.template.range_query {
            return self.by_query(query).await;
        }
        let mut has_rows = async |window: Window| self.has_rows(window).await;
        Ok(if self.template.one_day_windows {
            day_range::by_days(self.today, &mut has_rows)
                .await?
                .map_or(DaysWithRows::None, DaysWithRows::About)
        } else {
            day_range::by_windows(self.today, &mut has_rows)
                .await?
                .map_or(DaysWithRows::None, DaysWithRows::Exact)
        })
    }

    /// From the template's `range_query`: one row with the first and the last time.
    async fn by_query(&self, query: &str) -> Result<DaysWithRows> {
        let window = Window::single(self.today);
        let query = bind_query(query.trim(), &self.tenant.bindings(window))?;
        let rows = self
            .within(async || self.session.simple(&query).await)
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
                    Error::new(
                        Kind::Data,
                        "`range_query` returns a time that is not in any day",
                    )
                    .with_hint("it must return one row of two columns: the first and the last time")
                })
        };
        Ok(match (day(0)?, day(1)?) {
            (Some(first), Some(last)) => DaysWithRows::Exact(DayRange { first, last }),
            _ => DaysWithRows::None,
        })
    }

    async fn has_rows(&self, window: Window) -> Result<bool> {
        let query = self.bound(window)?;
        let sql = has_rows_sql(&query);
        let rows = self
            .within(async || self.session.simple(&sql).await)
            .await?;
        Ok(rows.value(0, 0) == Some("t"))
    }

    fn bound(&self, window: Window) -> Result<String> {
        self.template.bind(&self.tenant.bindings(window))
    }

    /// Runs `work` in a read-only transaction with the settings of a load.
    async fn within<T>(&self, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let transaction = self.tenant.transaction(limit(self.settings));
        transaction.read(self.session, work).await
    }
}
