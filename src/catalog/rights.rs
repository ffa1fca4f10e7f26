//! What the warehouse grants the login, and which statements make up what is missing. [`Facts::read`] looks, the rest
//! is pure.

use super::SCHEMA;
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::sql::{ident, literal};

/// What `init` is to bring about.
#[derive(Debug, Clone)]
pub struct Wish {
    pub owner: String,
    pub reader: String,
    /// The owner role is to log in with a password that is at hand.
    pub owner_password: bool,
    pub reader_password: bool,
}

/// A role that is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Role {
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

/// How the warehouse stands to the login, the owner and the reader.
#[derive(Debug, Clone)]
pub struct Facts {
    pub login: String,
    pub database: String,
    /// As PostgreSQL numbers it: 150018.
    pub server_version: u32,
    pub superuser: bool,
    pub creates_roles: bool,
    pub owner: Option<Role>,
    pub reader: Option<Role>,
    /// The login may become the owner role.
    pub login_is_owner: bool,
    pub owner_creates_schemas: bool,
    pub login_creates_schemas: bool,
    pub login_grants_schemas: bool,
    pub reader_connects: bool,
    pub login_grants_connect: bool,
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
        let or_public =
            |name: &str, role: &Option<Role>| literal(if role.is_some() { name } else { "public" });
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
            public: schema_rights(session, "public", &o, &r).await?,
            catalog: schema_rights(session, SCHEMA, &o, &r).await?,
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
            "make one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`",
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
) -> Result<Option<Role>> {
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
        Role {
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

/// One statement on the way to what is wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// "create role `wh_admin`".
    pub what: String,
    pub sql: String,
    /// The login may run it.
    pub able: bool,
    /// The role whose password the statement sets. `sql` is then what an administrator runs instead, without it.
    pub password_of: Option<String>,
}

/// The statements that are missing, in the order they are run.
pub fn steps(facts: &Facts, wish: &Wish) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |what: String, sql: String, able: bool| {
        steps.push(Step {
            what,
            sql,
            able,
            password_of: None,
        });
    };
    let (owner, reader) = (ident(&wish.owner), ident(&wish.reader));
    let database = ident(&facts.database);
    let makes_roles = facts.superuser || facts.creates_roles;
    for (name, role) in [(&wish.owner, &facts.owner), (&wish.reader, &facts.reader)] {
        if role.is_none() {
            add(
                format!("create role `{name}`"),
                format!("CREATE ROLE {} NOLOGIN", ident(name)),
                makes_roles,
            );
        }
    }
    // A superuser may become any role.
    if !facts.login_is_owner && !facts.superuser {
        let options = if facts.server_version >= 160_000 {
            " WITH INHERIT TRUE, SET TRUE"
        } else {
            ""
        };
        add(
            format!("grant role `{}` to `{}`", wish.owner, facts.login),
            format!("GRANT {owner} TO {}{options}", ident(&facts.login)),
            // Whoever makes a role may grant it.
            facts.owner.map_or(makes_roles, |r| r.granted),
        );
    }
    if !facts.owner_creates_schemas {
        add(
            format!(
                "let `{}` create schemas in database `{}`",
                wish.owner, facts.database
            ),
            format!("GRANT CREATE ON DATABASE {database} TO {owner}"),
            facts.login_grants_schemas,
        );
    }
    if !facts.reader_connects {
        add(
            format!(
                "let `{}` connect to database `{}`",
                wish.reader, facts.database
            ),
            format!("GRANT CONNECT ON DATABASE {database} TO {reader}"),
            facts.login_grants_connect,
        );
    }
    let mut public = facts.public;
    if !public.exists {
        add(
            "create schema `public`".into(),
            "CREATE SCHEMA public".into(),
            facts.login_creates_schemas,
        );
        (public.login_grants_create, public.login_grants_usage) =
            (facts.login_creates_schemas, facts.login_creates_schemas);
    }
    if !(public.owner_creates && public.owner_uses) {
        add(
            format!("let `{}` create views in schema `public`", wish.owner),
            format!("GRANT USAGE, CREATE ON SCHEMA public TO {owner}"),
            public.login_grants_create && public.login_grants_usage,
        );
    }
    if !public.reader_uses {
        add(
            format!("let `{}` use schema `public`", wish.reader),
            format!("GRANT USAGE ON SCHEMA public TO {reader}"),
            public.login_grants_usage,
        );
    }
    let catalog = facts.catalog;
    if catalog.exists && !(catalog.owner_creates && catalog.owner_uses) {
        add(
            format!("let `{}` create tables in schema `{SCHEMA}`", wish.owner),
            format!("GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO {owner}"),
            catalog.login_grants_create && catalog.login_grants_usage,
        );
    }
    for (name, role, given) in [
        (&wish.owner, &facts.owner, wish.owner_password),
        (&wish.reader, &facts.reader, wish.reader_password),
    ] {
        if given {
            steps.push(Step {
                what: format!("let role `{name}` log in with its password"),
                sql: format!("ALTER ROLE {} LOGIN", ident(name)),
                able: role.map_or(makes_roles, |r| r.altered),
                password_of: Some(name.clone()),
            });
        }
    }
    steps
}

/// What an administrator runs where the login may not: all of it, in order, runnable as it is. Steps that the login
/// could run itself are part of it, since later ones build on them.
pub fn administrator_sql(facts: &Facts, steps: &[Step]) -> String {
    let mut text = format!(
        "-- Run this as an administrator in database {}, then run `dayhaul init` again.\n",
        ident(&facts.database)
    );
    for step in steps {
        text.push_str(&step.sql);
        text.push_str(";\n");
        if let Some(role) = &step.password_of {
            text.push_str(&format!(
                "-- Set its password with psql's \\password {}, and leave its password out of `dayhaul init`.\n",
                ident(role)
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            owner: "wh_admin".into(),
            reader: "wh_reader".into(),
            owner_password: false,
            reader_password: false,
        }
    }

    /// A login without any right, in a fresh database of PostgreSQL 15.
    fn nobody() -> Facts {
        Facts {
            login: "loader".into(),
            database: "wh".into(),
            server_version: 150_000,
            superuser: false,
            creates_roles: false,
            owner: None,
            reader: None,
            login_is_owner: false,
            owner_creates_schemas: false,
            login_creates_schemas: false,
            login_grants_schemas: false,
            reader_connects: true,
            login_grants_connect: false,
            public: SchemaRights {
                exists: true,
                owner_uses: true,
                reader_uses: true,
                ..SchemaRights::default()
            },
            catalog: SchemaRights::default(),
        }
    }

    fn sql(facts: &Facts, wish: &Wish) -> Vec<String> {
        steps(facts, wish).into_iter().map(|s| s.sql).collect()
    }

    #[test]
    fn a_login_without_rights_gets_all_the_sql_at_once() {
        let facts = nobody();
        assert!(steps(&facts, &wish()).iter().all(|s| !s.able));
        assert_eq!(
            sql(&facts, &wish()),
            [
                "CREATE ROLE \"wh_admin\" NOLOGIN",
                "CREATE ROLE \"wh_reader\" NOLOGIN",
                "GRANT \"wh_admin\" TO \"loader\"",
                "GRANT CREATE ON DATABASE \"wh\" TO \"wh_admin\"",
                "GRANT USAGE, CREATE ON SCHEMA public TO \"wh_admin\"",
            ]
        );
    }

    #[test]
    fn since_16_membership_is_granted_with_set_and_inherit() {
        let facts = Facts {
            server_version: 160_000,
            ..nobody()
        };
        assert!(
            sql(&facts, &wish())
                .contains(&"GRANT \"wh_admin\" TO \"loader\" WITH INHERIT TRUE, SET TRUE".into())
        );
    }

    #[test]
    fn where_everything_stands_there_is_nothing_to_do() {
        let role = Some(Role::default());
        let facts = Facts {
            owner: role,
            reader: role,
            login_is_owner: true,
            owner_creates_schemas: true,
            public: SchemaRights {
                owner_creates: true,
                ..nobody().public
            },
            ..nobody()
        };
        assert_eq!(steps(&facts, &wish()), []);
    }

    #[test]
    fn an_existing_catalog_schema_of_someone_else_needs_his_grant() {
        let facts = Facts {
            catalog: SchemaRights {
                exists: true,
                ..SchemaRights::default()
            },
            ..nobody()
        };
        let wanted = "GRANT USAGE, CREATE ON SCHEMA _wh TO \"wh_admin\"";
        assert!(sql(&facts, &wish()).contains(&wanted.into()));
    }

    #[test]
    fn the_administrators_sql_never_holds_a_password() {
        let wish = Wish {
            reader_password: true,
            ..wish()
        };
        let text = administrator_sql(&nobody(), &steps(&nobody(), &wish));
        assert!(text.contains("ALTER ROLE \"wh_reader\" LOGIN;\n"), "{text}");
        assert!(text.contains("\\password"), "{text}");
    }
}
