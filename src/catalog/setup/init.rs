//! `dayhaul init`: the roles, their rights, the schema and its migrations. Everything is looked at before anything is
//! done; what is done is done as a whole or not at all.

use super::migrate::{self, MIGRATIONS, Migration};
use super::owners::refuse_other_owner;
use super::rights::Facts;
use super::steps::{self, Step, administrator_sql};
use crate::catalog::{begin, finish};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::sql::{ident, literal};
use secrecy::{ExposeSecret, SecretString};

pub use super::rights::Wish;

/// Key of the advisory lock that one `init` at a time holds: "dayhaul" in ASCII.
const LOCK: i64 = 0x0064_6179_6861_756c;

/// What is missing in the warehouse.
pub struct Plan {
    facts: Facts,
    steps: Vec<Step>,
    create_schema: bool,
    create_migration_table: bool,
    migrations: Vec<&'static Migration>,
    /// What a person should know, and `init` does not change.
    pub notes: Vec<String>,
}

/// The passwords of roles that are to log in.
#[derive(Default)]
pub struct Passwords {
    pub owner: Option<SecretString>,
    pub reader: Option<SecretString>,
}

/// Takes the lock (other inits wait for it; it goes with the session) and looks at what is there.
///
/// # Errors
/// The database cannot be a warehouse; a table that is not ours has the name of one of ours; the catalog is newer.
pub async fn plan(session: &Session, wish: &Wish) -> Result<Plan> {
    session
        .query("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await?;
    let facts = Facts::read(session, wish).await?;
    let there = relations(session).await?;
    let migrated = there.iter().find(|r| r.name == migrate::TABLE);
    let applied = match migrated {
        Some(table) => applied(session, &facts, wish, table).await?,
        None => Some(Vec::new()),
    };
    let steps = steps::steps(&facts, wish);
    let Some(applied) = applied else {
        // The rights that are missing come first; the rest is seen when they are there.
        return Ok(Plan {
            facts,
            steps,
            create_schema: false,
            create_migration_table: false,
            migrations: Vec::new(),
            notes: Vec::new(),
        });
    };
    if let Some(newer) = applied.iter().find(|v| **v > migrate::newest()) {
        return Err(migrate::too_new(*newer));
    }
    let migrations: Vec<_> = MIGRATIONS
        .iter()
        .filter(|m| !applied.contains(&m.version))
        .collect();
    refuse_collisions(&facts, &there, &migrations)?;
    Ok(Plan {
        notes: notes(&facts, wish),
        create_schema: !facts.catalog.exists,
        create_migration_table: migrated.is_none(),
        facts,
        steps,
        migrations,
    })
}

impl Plan {
    /// Nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.what().is_empty()
    }

    /// What is done, in order, as people read it: "create role `wh_admin`".
    pub fn what(&self) -> Vec<String> {
        let mut what: Vec<String> = self.steps.iter().map(|s| s.what.clone()).collect();
        if self.create_schema {
            what.push(format!("create schema `{}`", self.facts.schemas.catalog));
        }
        for migration in &self.migrations {
            what.push(format!(
                "apply migration {:04} `{}`",
                migration.version, migration.name
            ));
        }
        what
    }

    /// What an administrator must run first, when the login may not do all of it: SQL, runnable as it is.
    pub fn administrator_sql(&self) -> Option<String> {
        self.steps
            .iter()
            .any(|s| !s.able)
            .then(|| administrator_sql(&self.facts, &self.steps))
    }

    /// How many steps the login may not do itself.
    pub fn missing(&self) -> usize {
        self.steps.iter().filter(|s| !s.able).count()
    }

    pub fn login(&self) -> &str {
        &self.facts.login
    }

    pub fn database(&self) -> &str {
        &self.facts.database
    }

    /// Does it in one transaction: whatever ends the program, nothing or all of it is done.
    ///
    /// # Errors
    /// Those of PostgreSQL, with the step they came from.
    pub async fn carry_out(
        &self,
        session: &Session,
        wish: &Wish,
        passwords: &Passwords,
    ) -> Result<()> {
        session.batch("BEGIN").await?;
        let done = self.do_all(session, wish, passwords).await;
        finish(session, done).await
    }

    async fn do_all(&self, session: &Session, wish: &Wish, passwords: &Passwords) -> Result<()> {
        self.prepare(session, wish, passwords).await?;
        for migration in &self.migrations {
            migrate::apply(session, migration).await?;
        }
        Ok(())
    }

    async fn prepare(&self, session: &Session, wish: &Wish, passwords: &Passwords) -> Result<()> {
        for step in &self.steps {
            let password = match &step.password_of {
                Some(role) if *role == wish.owner => passwords.owner.as_ref(),
                Some(_) => passwords.reader.as_ref(),
                None => None,
            };
            let sql = match password {
                Some(p) => format!("{} PASSWORD {}", step.sql, literal(p.expose_secret())),
                None => step.sql.clone(),
            };
            session
                .batch(&sql)
                .await
                .map_err(|e| e.at(step.what.clone()))?;
        }
        session
            .batch(&format!("SET LOCAL ROLE {}", ident(&wish.owner)))
            .await?;
        if self.create_schema {
            session
                .batch(&format!("CREATE SCHEMA {}", session.catalog()))
                .await
                .map_err(|e| e.at(format!("create schema `{}`", self.facts.schemas.catalog)))?;
        }
        if self.create_migration_table {
            migrate::create_table(session).await?;
            let (schema, table) = (&self.facts.schemas.catalog, migrate::TABLE.to_owned());
            refuse_other_owner(session, schema, &[table]).await?;
        }
        Ok(())
    }
}

/// Something in `_wh` that has a name.
struct There {
    name: String,
    owner: String,
}

/// Every relation and type in `_wh`: a table's name collides with both.
async fn relations(session: &Session) -> Result<Vec<There>> {
    let rows = session
        .query(
            "SELECT relname::text, pg_get_userbyid(relowner)::text FROM pg_class \
             WHERE relnamespace = to_regnamespace($1) \
             UNION SELECT typname::text, pg_get_userbyid(typowner)::text FROM pg_type \
             WHERE typnamespace = to_regnamespace($1) AND typrelid = 0 \
             ORDER BY 1",
            &[&session.catalog()],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| There {
            name: row.get(0),
            owner: row.get(1),
        })
        .collect())
}

/// The versions in `_wh.migration`; `None` when the login may not become its owner yet.
async fn applied(
    session: &Session,
    facts: &Facts,
    wish: &Wish,
    table: &There,
) -> Result<Option<Vec<i32>>> {
    if table.owner != wish.owner {
        return Err(
            Error::refused(format!(
                "table `{}.{}` belongs to role `{}`, not to the owner role `{}`",
                facts.schemas.catalog, table.name, table.owner, wish.owner
            ))
            .with_hint(format!(
                "if Dayhaul created it, set `owner_role = \"{}\"` under `[warehouse]`; if not, use another database",
                table.owner
            )),
        );
    }
    if !facts.login_is_owner && !facts.superuser {
        return Ok(None);
    }
    begin(session, &wish.owner).await?;
    let versions = migrate::applied(session).await;
    match finish(session, versions).await {
        Ok(versions) => Ok(Some(versions)),
        Err(e) if e.sqlstate() == Some("42703") => {
            Err(in_the_way(facts, migrate::TABLE).with_source(e))
        }
        Err(e) => Err(e),
    }
}

fn refuse_collisions(facts: &Facts, there: &[There], pending: &[&'static Migration]) -> Result<()> {
    pending
        .iter()
        .flat_map(|m| migrate::tables(m))
        .find(|name| there.iter().any(|t| t.name == *name))
        .map_or(Ok(()), |name| Err(in_the_way(facts, name)))
}

fn in_the_way(facts: &Facts, name: &str) -> Error {
    let schema = &facts.schemas.catalog;
    Error::refused(format!(
        "`{schema}.{name}` already exists and was not created by Dayhaul"
    ))
    .with_hint(format!(
        "nothing was changed; rename it (`ALTER TABLE {schema}.{name} RENAME TO …`) or use another database"
    ))
}

fn notes(facts: &Facts, wish: &Wish) -> Vec<String> {
    let mut notes = Vec::new();
    let schema = &facts.schemas.catalog;
    if facts.catalog.reader_uses {
        notes.push(format!(
            "role `{}` has a grant on schema `{schema}` that Dayhaul did not make; revoke it with `REVOKE USAGE ON SCHEMA {schema} FROM {}, PUBLIC`",
            wish.reader,
            ident(&wish.reader)
        ));
    }
    if facts.owner.is_some_and(|r| r.superuser) {
        notes.push(format!("the owner role `{}` is a superuser", wish.owner));
    }
    notes
}
