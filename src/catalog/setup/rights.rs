//! What the warehouse grants the login, the owner and the reader.

use crate::config::Schemas;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::sql::literal;

/// What `init` is to bring about.
#[derive(Debug, Clone)]
pub struct Wish {
    pub owner: String,
    pub reader: String,
    /// The owner role is to log in with a password that is available.
    pub owner_password: bool,
    pub reader_password: bool,
}

/// A role that is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoleRights {
    pub superuser: bool,
    /// The login may grant membership in it.
    pub granted: bool,
    /// The login may set its password.
    pub altered: bool,
}

/// What a role may do with a schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct SchemaRights {
    pub exists: bool,
    pub owner_creates: bool,
    pub owner_uses: bool,
    pub reader_uses: bool,
    /// The login may pass on the right to create.
    pub login_grants_create: bool,
    /// The login may pass on the right to use.
    pub login_grants_usage: bool,
}

/// What the login, the owner and the reader may do in the warehouse.
#[derive(Debug, Clone)]
pub struct Facts {
    pub login: String,
    pub database: String,
    /// As PostgreSQL numbers it: 150018.
    pub server_version: u32,
    pub superuser: bool,
    pub creates_roles: bool,
    pub owner: Option<RoleRights>,
    pub reader: Option<RoleRights>,
    /// The login may become the owner role.
    pub login_is_owner: bool,
    pub owner_creates_schemas: bool,
    pub login_creates_schemas: bool,
    pub login_grants_schemas: bool,
    pub reader_connects: bool,
    pub login_grants_connect: bool,
    pub schemas: Schemas,
    pub public: SchemaRights,
    pub catalog: SchemaRights,
}

impl Facts {
    /// Asks the server.
    ///
    /// # Errors
    /// Those of PostgreSQL; a database that cannot be a warehouse: not UTF8, read only, too old.
    pub async fn read(session: &Session, wish: &Wish) -> Result<Facts> {
        let version = session.server_version();
        let schemas = session.schemas();
        let row = session
            .query_one(
                "SELECT current_user::text, current_database()::text, pg_encoding_to_char(d.encoding)::text, \
                        pg_is_in_recovery(), r.rolsuper, r.rolcreaterole \
                 FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user",
                &[],
            )
            .await?;
        let (database, encoding): (String, String) = (row.get(1), row.get(2));
        refuse_unfit(&database, &encoding, row.get(3), version)?;
        let (superuser, creates_roles) = (row.get(4), row.get(5));
        let owner = role(session, &wish.owner, version, superuser, creates_roles).await?;
        let reader = role(session, &wish.reader, version, superuser, creates_roles).await?;
        // A role that is not there yet will have what everyone has: the pseudo-role `public`.
        let or_public = |name: &str, role: &Option<RoleRights>| {
            literal(if role.is_some() { name } else { "public" })
        };
        let (o, r) = (
            or_public(&wish.owner, &owner),
            or_public(&wish.reader, &reader),
        );
        let becomes = match owner {
            Some(_) => format!(
                "pg_has_role({o}, '{}')",
                if version >= 160_000 { "SET" } else { "MEMBER" }
            ),
            None => "false".to_owned(),
        };
        let rights = session
            .query_one(
                &format!(
                    "SELECT {becomes}, has_database_privilege({o}, d, 'CREATE'), has_database_privilege(d, 'CREATE'), \
                            has_database_privilege(d, 'CREATE WITH GRANT OPTION'), \
                            has_database_privilege({r}, d, 'CONNECT'), \
                            has_database_privilege(d, 'CONNECT WITH GRANT OPTION') \
                     FROM (SELECT current_database()::text AS d) AS here"
                ),
                &[],
            )
            .await?;
        Ok(Facts {
            login: row.get(0),
            database,
            server_version: version,
            superuser,
            creates_roles,
            owner,
            reader,
            login_is_owner: rights.get(0),
            owner_creates_schemas: rights.get(1),
            login_creates_schemas: rights.get(2),
            login_grants_schemas: rights.get(3),
            reader_connects: rights.get(4),
            login_grants_connect: rights.get(5),
            schemas: schemas.clone(),
            public: schema_rights(session, &schemas.public, &o, &r).await?,
            catalog: schema_rights(session, &schemas.catalog, &o, &r).await?,
        })
    }
}

fn refuse_unfit(database: &str, encoding: &str, standby: bool, version: u32) -> Result<()> {
    let refuse = |why: String, hint: &str| {
        Err(Error::refused(format!(
            "database `{database}` cannot be a warehouse: {why}"
        ))
        .with_hint(hint))
    };
    if encoding != "UTF8" {
        return refuse(
            format!("its encoding is {encoding}"),
            "create one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`",
        );
    }
    if standby {
        return refuse(
            "the server is a standby".into(),
            "name the primary in `warehouse.url`",
        );
    }
    if version < 140_000 {
        return refuse(
            format!("PostgreSQL {} is too old", version / 10_000),
            "use PostgreSQL 14 or newer",
        );
    }
    Ok(())
}

async fn role(
    session: &Session,
    name: &str,
    version: u32,
    superuser: bool,
    creates_roles: bool,
) -> Result<Option<RoleRights>> {
    let row = session
        .query_opt(
            "SELECT rolsuper, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') FROM pg_roles WHERE rolname = $1",
            &[&name],
        )
        .await?;
    Ok(row.map(|row| {
        let (of_superuser, has_admin): (bool, bool) = (row.get(0), row.get(1));
        // CREATEROLE never reached superusers; since 16 it reaches only roles it holds ADMIN on.
        let reached = creates_roles && !of_superuser && (version < 160_000 || has_admin);
        RoleRights {
            superuser: of_superuser,
            granted: superuser || has_admin || reached,
            altered: superuser || reached,
        }
    }))
}

/// `owner` and `reader` are literals of role names.
async fn schema_rights(
    session: &Session,
    schema: &str,
    owner: &str,
    reader: &str,
) -> Result<SchemaRights> {
    let row = session
        .query_opt(
            &format!(
                "SELECT has_schema_privilege({owner}, oid, 'CREATE'), has_schema_privilege({owner}, oid, 'USAGE'), \
                        has_schema_privilege({reader}, oid, 'USAGE'), \
                        has_schema_privilege(oid, 'CREATE WITH GRANT OPTION'), \
                        has_schema_privilege(oid, 'USAGE WITH GRANT OPTION') \
                 FROM pg_namespace WHERE nspname = $1"
            ),
            &[&schema],
        )
        .await?;
    Ok(row.map_or_else(SchemaRights::default, |row| SchemaRights {
        exists: true,
        owner_creates: row.get(0),
        owner_uses: row.get(1),
        reader_uses: row.get(2),
        login_grants_create: row.get(3),
        login_grants_usage: row.get(4),
    }))
}
