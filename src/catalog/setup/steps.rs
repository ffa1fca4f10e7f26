//! Which statements bring about what is missing in a warehouse, and who may run them. Pure.

use super::rights::{Facts, Wish};
use crate::sql::ident;

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
    let mut steps = role_steps(facts, wish);
    steps.extend(database_steps(facts, wish));
    steps.extend(public_schema_steps(facts, wish));
    steps.extend(catalog_schema_step(facts, wish));
    steps.extend(password_steps(facts, wish));
    steps
}

fn step(what: String, sql: String, able: bool) -> Step {
    Step {
        what,
        sql,
        able,
        password_of: None,
    }
}

/// The login may create roles.
fn makes_roles(facts: &Facts) -> bool {
    facts.superuser || facts.creates_roles
}

/// The roles, and the login's membership in the owner role.
fn role_steps(facts: &Facts, wish: &Wish) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, role) in [(&wish.owner, &facts.owner), (&wish.reader, &facts.reader)] {
        if role.is_none() {
            steps.push(step(
                format!("create role `{name}`"),
                format!("CREATE ROLE {} NOLOGIN", ident(name)),
                makes_roles(facts),
            ));
        }
    }
    // A superuser may become any role.
    if !facts.login_is_owner && !facts.superuser {
        let options = if facts.server_version >= 160_000 {
            " WITH INHERIT TRUE, SET TRUE"
        } else {
            ""
        };
        let (owner, login) = (ident(&wish.owner), ident(&facts.login));
        steps.push(step(
            format!("grant role `{}` to `{}`", wish.owner, facts.login),
            format!("GRANT {owner} TO {login}{options}"),
            // Whoever creates a role may grant it.
            facts.owner.map_or(makes_roles(facts), |r| r.granted),
        ));
    }
    steps
}

/// What the roles may do in the database.
fn database_steps(facts: &Facts, wish: &Wish) -> Vec<Step> {
    let (owner, reader) = (ident(&wish.owner), ident(&wish.reader));
    let database = ident(&facts.database);
    let mut steps = Vec::new();
    if !facts.owner_creates_schemas {
        steps.push(step(
            format!(
                "let `{}` create schemas in database `{}`",
                wish.owner, facts.database
            ),
            format!("GRANT CREATE ON DATABASE {database} TO {owner}"),
            facts.login_grants_schemas,
        ));
    }
    if !facts.reader_connects {
        steps.push(step(
            format!(
                "let `{}` connect to database `{}`",
                wish.reader, facts.database
            ),
            format!("GRANT CONNECT ON DATABASE {database} TO {reader}"),
            facts.login_grants_connect,
        ));
    }
    steps
}

/// The schema of the public views.
fn public_schema_steps(facts: &Facts, wish: &Wish) -> Vec<Step> {
    let (owner, reader) = (ident(&wish.owner), ident(&wish.reader));
    let schema = &facts.schemas.public;
    let mut public = facts.public;
    let mut steps = Vec::new();
    if !public.exists {
        steps.push(step(
            format!("create schema `{schema}`"),
            format!("CREATE SCHEMA {schema}"),
            facts.login_creates_schemas,
        ));
        (public.login_grants_create, public.login_grants_usage) =
            (facts.login_creates_schemas, facts.login_creates_schemas);
    }
    if !(public.owner_creates && public.owner_uses) {
        steps.push(step(
            format!("let `{}` create views in schema `{schema}`", wish.owner),
            format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}"),
            public.login_grants_create && public.login_grants_usage,
        ));
    }
    if !public.reader_uses {
        steps.push(step(
            format!("let `{}` use schema `{schema}`", wish.reader),
            format!("GRANT USAGE ON SCHEMA {schema} TO {reader}"),
            public.login_grants_usage,
        ));
    }
    steps
}

/// A catalog's schema that exists and is not the owner role's.
fn catalog_schema_step(facts: &Facts, wish: &Wish) -> Option<Step> {
    let (catalog, schema) = (facts.catalog, &facts.schemas.catalog);
    let lacks = catalog.exists && !(catalog.owner_creates && catalog.owner_uses);
    lacks.then(|| {
        step(
            format!("let `{}` create tables in schema `{schema}`", wish.owner),
            format!(
                "GRANT USAGE, CREATE ON SCHEMA {schema} TO {}",
                ident(&wish.owner)
            ),
            catalog.login_grants_create && catalog.login_grants_usage,
        )
    })
}

/// The roles that are to log in with a password.
fn password_steps(facts: &Facts, wish: &Wish) -> Vec<Step> {
    let roles = [
        (&wish.owner, &facts.owner, wish.owner_password),
        (&wish.reader, &facts.reader, wish.reader_password),
    ];
    roles
        .into_iter()
        .filter(|(_, _, given)| *given)
        .map(|(name, role, _)| Step {
            what: format!("let role `{name}` log in with its password"),
            sql: format!("ALTER ROLE {} LOGIN", ident(name)),
            able: role.map_or(makes_roles(facts), |r| r.altered),
            password_of: Some(name.clone()),
        })
        .collect()
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
    use crate::catalog::setup::rights::{RoleRights, SchemaRights};

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
            schemas: crate::config::Schemas::default(),
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
        let role = Some(RoleRights::default());
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
