//! The catalog: the `_wh` schema in the warehouse. Which tenants and templates there are, what was done, and which relations are Dayhaul's.
//!
//! Functions take a [`Session`] of the warehouse; who calls them owns the transaction. A session that
//! [`warehouse_session`] made acts as the owner role from its first statement, so it never matters who ran a command.

pub mod by_pair;
pub mod ledger;
pub mod registry;
pub mod runs;
pub mod setup;
pub mod snapshot;
pub mod views;

pub use registry::pairs::{Pair, pairs};
pub use registry::tenants::{Selection, Tenant};

use self::registry::masked;
use self::setup::migrate;
use crate::config::{SettingOrigin, Settings};
use crate::error::{Error, Result};
use crate::pg::conninfo::password::Password;
use crate::pg::conninfo::secret::Trust;
use crate::pg::{self, Access, Session, Url};
use crate::sql::{ident, literal};

/// An open catalog of the version this program knows.
pub struct Catalog {
    session: Session,
    owner: String,
    reader: String,
}

impl Catalog {
    /// Connects to the warehouse and checks its catalog.
    ///
    /// # Errors
    /// The warehouse cannot be reached, is behind a transaction pooler, or its catalog is missing, older or newer.
    pub async fn open(settings: &Settings) -> Result<Catalog> {
        let session = warehouse_session(settings).await?;
        migrate::check(&session).await?;
        Ok(Catalog {
            session,
            owner: settings.warehouse.owner_role.clone(),
            reader: settings.warehouse.reader_role.clone(),
        })
    }

    /// The session of the catalog: one for the command, not for its workers.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The role that owns everything.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The role that readers are members of.
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// Begins a transaction as the owner role.
    ///
    /// # Errors
    /// The login is no longer a member of the owner role, or the connection is lost.
    pub async fn begin(&self) -> Result<()> {
        begin(&self.session, &self.owner).await
    }

    /// Runs `work` in a transaction as the owner role: committed when it succeeds, rolled back when it fails.
    ///
    /// # Errors
    /// Those of `work` and of the commit.
    pub async fn transaction<T>(&self, work: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T> {
        self.begin().await?;
        finish(&self.session, work(&self.session).await).await
    }
}

/// Begins a transaction as the owner role.
///
/// # Errors
/// The login is not a member of the owner role, or the connection is lost.
pub async fn begin(session: &Session, owner: &str) -> Result<()> {
    session
        .batch(&format!("BEGIN; SET LOCAL ROLE {}", ident(owner)))
        .await
}

/// Ends a transaction as its work ended, and hands the result on.
///
/// # Errors
/// Those of the work, or of the commit.
pub async fn finish<T>(session: &Session, result: Result<T>) -> Result<T> {
    match result {
        Ok(value) => {
            session.batch("COMMIT").await?;
            Ok(value)
        }
        Err(error) => {
            // If this fails, too, the connection and its transaction are lost: the first error is more useful.
            let _ = session.batch("ROLLBACK").await;
            Err(error)
        }
    }
}

/// A new session with the warehouse that acts as the owner role.
///
/// # Errors
/// The warehouse cannot be reached, or `dayhaul init` has not been run.
pub async fn warehouse_session(settings: &Settings) -> Result<Session> {
    let session = pg::connect_unpooled(&warehouse_access(settings).await?).await?;
    let owner = &settings.warehouse.owner_role;
    let ready = session
        .query_one(
            &format!(
                "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) AND EXISTS ( \
                     SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = {} AND c.relname = '{}')",
                literal(owner),
                literal(&session.schemas().catalog),
                migrate::TABLE
            ),
            &[],
        )
        .await?
        .get::<_, bool>(0);
    if !ready {
        return Err(migrate::not_initialised());
    }
    masked::check(&session, settings.masks.as_ref()).await?;
    session
        .batch(&format!("SET ROLE {}", ident(owner)))
        .await
        .map_err(|e| match e.sqlstate() {
            Some("42501") => {
                Error::refused(format!("the login cannot switch to the owner role `{owner}`"))
                    .with_hint(
                        "run `dayhaul init`: it grants the role to the login, or prints what an administrator must run",
                    )
                    .with_source(e)
            }
            _ => e,
        })?;
    Ok(session)
}

/// How to reach the warehouse.
///
/// # Errors
/// An invalid URL, or one in a file that holds a password; a password reference that cannot be resolved.
pub async fn warehouse_access(settings: &Settings) -> Result<Access> {
    let warehouse = &settings.warehouse;
    let url = Url::parse(&warehouse.url).map_err(|e| e.at(warehouse.url_place.to_string()))?;
    if let SettingOrigin::File(..) = warehouse.url_place
        && url.has_password()
    {
        return Err(Error::refused("`warehouse.url` holds a password")
            .at(warehouse.url_place.to_string())
            .with_hint(format!(
                "write `url = \"{}\"` and `password = \"env:WAREHOUSE_PASSWORD\"` (or file:, cmd:, pgpass)",
                url.redacted()
            )));
    }
    let reference = warehouse.password.as_deref();
    let password = Password::reference(reference, Trust::Local, "`warehouse.password`").await?;
    Ok(Access::new(url, password).with_schemas(warehouse.schemas.clone()))
}

/// How to reach a tenant's source.
///
/// # Errors
/// An invalid URL; a password reference that cannot be resolved, or that is not allowed on this host.
pub async fn access(tenant: &Tenant, settings: &Settings) -> Result<Access> {
    let tenant_name = format!("tenant `{}`", tenant.name);
    let place = |e: Error| e.at(tenant_name.clone());
    let text = tenant.url.as_deref().ok_or_else(|| {
        place(Error::refused(
            "its source is unknown, because it was restored from files",
        ))
        .with_hint(format!(
            "set it: `dayhaul tenant set {} --url URL`",
            tenant.name
        ))
    })?;
    let url = Url::parse(text).map_err(place)?;
    let trust = Trust::Catalog {
        allow: &settings.secrets.allow,
    };
    let password = Password::reference(tenant.password.as_deref(), trust, &tenant_name).await?;
    Ok(Access::new(url, password).with_places(settings.load.per_server))
}
