//! What people set on a relation of ours: options, grants, comments, its owner. Where another takes its place, it is set
//! again.

use crate::error::{Error, Result};
use crate::pg::Session;
use crate::sql::{ident, literal, qualified};

/// What a view or table is, whose it is, and its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// As `pg_class.relkind`.
    pub kind: String,
    pub owner: String,
    /// Whether this session's role may replace it: it is the owner, or a member of it.
    pub owned: bool,
    /// This session's role.
    pub role: String,
    /// `security_invoker`, `fillfactor` …
    pub options: Vec<(String, String)>,
}

/// All that is set on a view or table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    pub header: Header,
    grants: Vec<Grant>,
    /// Of a column, or of the relation itself.
    comments: Vec<(Option<String>, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privilege: String,
    column: Option<String>,
    /// `None`: everybody.
    role: Option<String>,
    grantable: bool,
}

impl Header {
    /// Of the relation of that name; `None` when there is none.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn read(session: &Session, schema: &str, name: &str) -> Result<Option<Header>> {
        let row = session
            .query_opt(
                "SELECT c.relkind::text, pg_get_userbyid(c.relowner)::text, pg_has_role(c.relowner, 'USAGE'), \
                        coalesce(c.reloptions, '{}'), current_user::text \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2",
                &[&schema, &name],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let options: Vec<String> = row.get(3);
        Ok(Some(Header {
            kind: row.get(0),
            owner: row.get(1),
            owned: row.get(2),
            role: row.get(4),
            options: options
                .iter()
                .filter_map(|option| option.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }))
    }

    /// With what was granted and said about it.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn with_grants(
        self,
        session: &Session,
        schema: &str,
        name: &str,
    ) -> Result<UserSettings> {
        Ok(UserSettings {
            header: self,
            grants: grants(session, schema, name).await?,
            comments: comments(session, schema, name).await?,
        })
    }

    fn what(&self) -> &'static str {
        if self.kind == "v" { "view" } else { "table" }
    }

    /// Refuses to replace what belongs to a role that ours is no member of.
    ///
    /// # Errors
    /// [`Kind::Refused`](crate::error::Kind::Refused), with the statement for an administrator.
    pub fn refuse_other_owner(&self, schema: &str, name: &str) -> Result<()> {
        if self.owned {
            return Ok(());
        }
        let what = self.what();
        Err(Error::refused(format!(
            "{what} `{schema}.{name}` belongs to role `{}`, which `{}` is not a member of",
            self.owner, self.role
        ))
        .with_hint(format!(
            "have an administrator run: GRANT {} TO {}; or: ALTER {} {} OWNER TO {}",
            ident(&self.owner),
            ident(&self.role),
            what.to_uppercase(),
            qualified(schema, name),
            ident(&self.role),
        )))
    }
}

impl UserSettings {
    /// Of the relation of that name; `None` when there is none.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn read(session: &Session, schema: &str, name: &str) -> Result<Option<UserSettings>> {
        match Header::read(session, schema, name).await? {
            Some(header) => header.with_grants(session, schema, name).await.map(Some),
            None => Ok(None),
        }
    }

    /// Statements that grant and comment again, on a relation of that name with `columns`.
    pub fn restate(&self, schema: &str, name: &str, columns: &[&str]) -> Vec<String> {
        let relation = qualified(schema, name);
        let there = |column: &Option<String>| {
            let column = column.as_deref();
            column.is_none_or(|column| columns.contains(&column))
        };
        let grants = self.grants.iter().filter(|g| there(&g.column)).map(|g| {
            let column = g.column.as_deref().map(ident);
            let column = column.map_or_else(String::new, |column| format!(" ({column})"));
            let role = g.role.as_deref().map_or_else(|| "PUBLIC".to_owned(), ident);
            let option = if g.grantable {
                " WITH GRANT OPTION"
            } else {
                ""
            };
            let privilege = &g.privilege;
            format!("GRANT {privilege}{column} ON {relation} TO {role}{option}")
        });
        let what = self.header.what().to_uppercase();
        let comments = self.comments.iter().filter(|(column, _)| there(column));
        let comments = comments.map(|(column, text)| match column {
            Some(column) => {
                format!(
                    "COMMENT ON COLUMN {relation}.{} IS {}",
                    ident(column),
                    literal(text)
                )
            }
            None => format!("COMMENT ON {what} {relation} IS {}", literal(text)),
        });
        grants.chain(comments).collect()
    }
}

/// `(key = 'value', …)`, as `WITH` and `SET` take it; `None` when there are no options.
pub fn options_list(options: &[(String, String)]) -> Option<String> {
    let list = options
        .iter()
        .map(|(key, value)| format!("{} = {}", ident(key), literal(value)))
        .collect::<Vec<_>>();
    (!list.is_empty()).then(|| format!("({})", list.join(", ")))
}

/// What was granted to others than the owner, on the relation and on its columns.
async fn grants(session: &Session, schema: &str, name: &str) -> Result<Vec<Grant>> {
    let rows = session
        .query(
            "WITH relation AS (SELECT c.oid, c.relacl, c.relowner FROM pg_class c \
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2), \
             acl AS (SELECT NULL::text AS attname, relacl AS acl, relowner FROM relation \
               UNION ALL SELECT a.attname::text, a.attacl, relowner FROM relation \
               JOIN pg_attribute a ON a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped) \
             SELECT x.privilege_type, acl.attname, \
                    CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee)::text END, x.is_grantable \
             FROM acl, aclexplode(acl.acl) AS x WHERE x.grantee <> acl.relowner",
            &[&schema, &name],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Grant {
            privilege: row.get(0),
            column: row.get(1),
            role: row.get(2),
            grantable: row.get(3),
        })
        .collect())
}

async fn comments(
    session: &Session,
    schema: &str,
    name: &str,
) -> Result<Vec<(Option<String>, String)>> {
    let rows = session
        .query(
            "SELECT a.attname::text, d.description FROM pg_description d \
             JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0 \
             WHERE d.classoid = 'pg_class'::regclass AND n.nspname = $1 AND c.relname = $2 ORDER BY d.objsubid",
            &[&schema, &name],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
