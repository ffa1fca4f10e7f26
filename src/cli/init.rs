//! `dayhaul init`: prepares the warehouse.

use super::context::Context;
use crate::catalog::registry::{masked, pairs};
use crate::catalog::setup::init::{Passwords, Plan, Wish, plan};
use crate::catalog::setup::migrate;
use crate::catalog::{Catalog, Selection, warehouse_access};
use crate::config::{ReplicaIdentity, Settings};
use crate::error::{Error, Result, exit};
use crate::pg;
use crate::pg::conninfo::secret::SecretRef;
use crate::report::numbers::counted;
use crate::warehouse::{odd_views, of_all_tables};
use secrecy::SecretString;
use serde::Serialize;

const EXAMPLES: &str = "\
Run it again after an upgrade of Dayhaul. Where the login lacks rights, nothing
is done and the SQL for an administrator is printed.

Examples:
  dayhaul init --dry-run
  dayhaul init
  dayhaul init --reader-password env:READER_PASSWORD";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Let the owner role log in, with this password: env:NAME, file:PATH or cmd:COMMAND
    #[arg(long, value_name = "REF")]
    owner_password: Option<String>,
    /// Let the reader role log in, with this password: env:NAME, file:PATH or cmd:COMMAND
    #[arg(long, value_name = "REF")]
    reader_password: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct InitJson<'a> {
    schema: &'static str,
    outcome: InitOutcome,
    database: &'a str,
    login: &'a str,
    owner_role: &'a str,
    reader_role: &'a str,
    catalog_version: i32,
    steps: Vec<String>,
    /// What an administrator must run first.
    #[serde(skip_serializing_if = "Option::is_none")]
    administrator_sql: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum InitOutcome {
    Changed,
    Unchanged,
    /// By `--dry-run`.
    Planned,
    /// The login lacks rights.
    Refused,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    let passwords = Passwords {
        owner: password(args.owner_password.as_deref(), "--owner-password").await?,
        reader: password(args.reader_password.as_deref(), "--reader-password").await?,
    };
    let wish = Wish {
        owner: settings.warehouse.owner_role.clone(),
        reader: settings.warehouse.reader_role.clone(),
        owner_password: passwords.owner.is_some(),
        reader_password: passwords.reader.is_some(),
    };
    let access = warehouse_access(&settings).await?;
    let session = pg::connect_unpooled(&access).await?;
    masked::check(&session, settings.masks.as_ref()).await?;
    let plan = plan(&session, &wish).await?;
    for note in &plan.notes {
        context.warn(note);
    }
    let outcome = match (plan.administrator_sql(), plan.is_empty()) {
        (Some(_), _) => InitOutcome::Refused,
        (None, true) => InitOutcome::Unchanged,
        (None, false) if args.dry_run => InitOutcome::Planned,
        (None, false) => {
            plan.carry_out(&session, &wish, &passwords).await?;
            InitOutcome::Changed
        }
    };
    if matches!(outcome, InitOutcome::Changed | InitOutcome::Unchanged) {
        warn_of_obstacles(context, &settings).await?;
    }
    report(context, &settings, &plan, outcome);
    if outcome == InitOutcome::Refused {
        return Err(lacks_rights(&plan));
    }
    Ok(exit::OK)
}

/// Readers read views: those that are missing or were changed are named, and made anew by runs that hold their pairs. So
/// are publications that will keep days from being brought up to date.
async fn warn_of_obstacles(context: &Context, settings: &Settings) -> Result<()> {
    let catalog = Catalog::open(settings).await?;
    let session = catalog.session();
    if settings.warehouse.replica_identity != ReplicaIdentity::Full {
        for note in of_all_tables(session).await? {
            context.warn(note);
        }
    }
    let pairs = pairs::enabled(session, &Selection::default()).await?;
    for odd in odd_views(session, &pairs).await? {
        context.warn(format!("{odd}; `dayhaul verify --repair` makes views anew"));
    }
    Ok(())
}

/// Prepares a database that has no catalog yet, without output on standard output: for commands that are given a new
/// database.
///
/// # Errors
/// As those of `init`.
pub(super) async fn if_needed(settings: &Settings, context: &Context) -> Result<()> {
    let access = warehouse_access(settings).await?;
    let session = pg::connect_unpooled(&access).await?;
    if migrate::is_there(&session).await? && !migrate::is_unfinished(&session).await? {
        return Ok(());
    }
    let wish = Wish {
        owner: settings.warehouse.owner_role.clone(),
        reader: settings.warehouse.reader_role.clone(),
        owner_password: false,
        reader_password: false,
    };
    let plan = plan(&session, &wish).await?;
    for note in &plan.notes {
        context.warn(note);
    }
    if let Some(sql) = plan.administrator_sql() {
        context.note(sql.trim_end());
        return Err(lacks_rights(&plan));
    }
    plan.carry_out(&session, &wish, &Passwords::default())
        .await?;
    context.note(format!("prepared database `{}`", plan.database()));
    Ok(())
}

fn lacks_rights(plan: &Plan) -> Error {
    Error::refused(format!(
        "the login `{}` lacks {} in database `{}`",
        plan.login(),
        counted(plan.missing() as u64, "right"),
        plan.database()
    ))
    .with_hint(
        "nothing was done; have an administrator run the SQL above, then run `dayhaul init` again",
    )
}

fn report(context: &Context, settings: &Settings, plan: &Plan, outcome: InitOutcome) {
    let steps = plan.what();
    match outcome {
        InitOutcome::Refused => {
            context.print(plan.administrator_sql().unwrap_or_default().trim_end())
        }
        InitOutcome::Unchanged => context.print(format!(
            "nothing to do: database `{}` is ready, with catalog version {}",
            plan.database(),
            migrate::newest()
        )),
        InitOutcome::Planned | InitOutcome::Changed => {
            let done = if outcome == InitOutcome::Planned {
                "would do"
            } else {
                "done"
            };
            context.print(format!("{done} in database `{}`:", plan.database()));
            steps.iter().for_each(|s| context.print(format!("  {s}")));
        }
    }
    context.print_json(&InitJson {
        schema: "dayhaul.init/1",
        outcome,
        database: plan.database(),
        login: plan.login(),
        owner_role: &settings.warehouse.owner_role,
        reader_role: &settings.warehouse.reader_role,
        catalog_version: migrate::newest(),
        steps,
        administrator_sql: plan.administrator_sql(),
    });
}

/// Reads the secret of a reference on the command line.
async fn password(reference: Option<&str>, flag: &str) -> Result<Option<SecretString>> {
    let Some(text) = reference else {
        return Ok(None);
    };
    let place = |e: Error| e.at(flag.to_owned());
    let reference = SecretRef::parse(text).map_err(place)?;
    reference.resolve().await.map(Some).map_err(place)
}
