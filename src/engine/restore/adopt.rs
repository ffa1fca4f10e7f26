//! The catalog of a warehouse that has lost it, or never had one: from a snapshot, else from what the files say.

use super::find::{Days, Found};
use crate::catalog::registry::{pairs, templates, tenants};
use crate::catalog::snapshot::{self, Snapshot, restored};
use crate::catalog::{Catalog, Selection, Tenant};
use crate::error::{At, Error, Result};
use crate::landing::{Footer, Landing, ObjectPath};
use crate::template::Template;
use crate::unit::{SchemaName, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};

/// What the catalog is to learn, and from what.
#[derive(Debug)]
pub struct Adoption<'a> {
    pub places: &'a [Landing],
    pub found: &'a Found,
    pub snapshot: Option<&'a Snapshot>,
    pub selection: &'a Selection,
    /// The days that were asked for.
    pub days: Option<Window>,
}

/// What it learnt.
#[derive(Debug, Default)]
pub struct Adopted {
    /// The row of `_wh.restored`.
    pub record: i64,
    pub tenants: Vec<TenantName>,
    pub templates: Vec<TemplateName>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// What the catalog has.
struct Known {
    tenants: Vec<Tenant>,
    templates: BTreeSet<TemplateName>,
    pairs: BTreeSet<(TenantName, TemplateName)>,
    /// It is new, or came out of a restore itself: whatever lies there belongs into it.
    takes_all: bool,
}

impl Known {
    async fn read(catalog: &Catalog) -> Result<Known> {
        let session = catalog.session();
        let tenants = tenants::list(session).await?;
        let registered = templates::list(session).await?;
        let restored = restored::latest(session).await?.is_some();
        let pairs = pairs::all(session, &Selection::default()).await?;
        Ok(Known {
            takes_all: restored || tenants.is_empty(),
            templates: registered.into_iter().map(|t| t.template.name).collect(),
            pairs: pairs
                .into_iter()
                .map(|p| (p.tenant.name, p.template.name.clone()))
                .collect(),
            tenants,
        })
    }

    fn tenant_of(&self, schema: &SchemaName) -> Option<&TenantName> {
        let of = self.tenants.iter().find(|t| t.schema == *schema);
        of.map(|t| &t.name)
    }

    fn has(&self, template: &TemplateName, schema: &SchemaName) -> bool {
        self.tenant_of(schema)
            .is_some_and(|t| self.pairs.contains(&(t.clone(), template.clone())))
    }
}

/// Brings tenants, templates and pairs that the catalog lacks into it, and writes down that a restore begins; all in one
/// transaction. A catalog that was made by hand gets only what the selection names.
///
/// # Errors
/// A tenant or schema of that name is here, and another; the warehouse's.
pub async fn adopt(catalog: &Catalog, adoption: &Adoption<'_>) -> Result<Adopted> {
    let known = Known::read(catalog).await?;
    let mut adopted = Adopted::default();
    let surveyed = survey(adoption, &known, &mut adopted.notes).await;
    let sources: Vec<String> = adoption.places.iter().map(|p| p.url().to_owned()).collect();
    let snapshot = adoption.snapshot;
    adopted.record = catalog
        .transaction(async |session| {
            if let Some(snapshot) = snapshot {
                let takes = |tenant: &str, template: &str| {
                    known.takes_all || names(adoption.selection, tenant, template)
                };
                let first_days = adoption.days.is_none();
                snapshot::adopt(session, snapshot, adoption.selection, takes, first_days).await?;
            }
            for (unit, footer) in &surveyed {
                adopt_pair(session, footer, surveyed.values())
                    .await
                    .at(|| format!("files of `{}` in schema `{}`", unit.0, unit.1))?;
            }
            let last_run = surveyed.values().map(|f| f.run).max().unwrap_or(0);
            snapshot::go_on_after(session, last_run).await?;
            let taken = snapshot.and_then(|s| Some((s.id.as_str(), s.taken_at()?)));
            let afresh = known.tenants.is_empty();
            restored::add(session, &sources, taken, adoption.days, afresh).await
        })
        .await?;
    let after = Known::read(catalog).await?;
    let new = after.tenants.into_iter().map(|t| t.name);
    adopted.tenants = new
        .filter(|name| known.tenants.iter().all(|t| t.name != *name))
        .collect();
    adopted.templates = after
        .templates
        .difference(&known.templates)
        .cloned()
        .collect();
    Ok(adopted)
}

fn names(selection: &Selection, tenant: &str, template: &str) -> bool {
    selection.tenants.iter().any(|t| t.as_str() == tenant)
        || selection.templates.iter().any(|t| t.as_str() == template)
}

fn is_selected(selection: &Selection, tenant: &TenantName, template: &TemplateName) -> bool {
    (selection.tenants.is_empty() || selection.tenants.contains(tenant))
        && (selection.templates.is_empty() || selection.templates.contains(template))
}

/// The newest footers of the pairs that neither the catalog nor the snapshot knows.
async fn survey(
    adoption: &Adoption<'_>,
    known: &Known,
    notes: &mut Vec<String>,
) -> BTreeMap<(TemplateName, SchemaName), Footer> {
    let mut surveyed = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for ((template, schema), days) in &adoption.found.units {
        let in_snapshot = |s: &Snapshot| {
            let tenant = s.tenant_of(schema);
            tenant.is_some_and(|t| {
                s.pairs
                    .iter()
                    .any(|p| p.tenant == t.name && p.template == template.as_str())
            })
        };
        let told = adoption.snapshot.is_some_and(in_snapshot);
        if known.has(template, schema) || (told && known.takes_all) {
            continue;
        }
        match newest(adoption.places, template, schema, days).await {
            Ok(footer) => {
                let tenant = &footer.origin.tenant;
                if !is_selected(adoption.selection, tenant, template) {
                    continue;
                }
                if known.takes_all || names(adoption.selection, tenant.as_str(), template.as_str())
                {
                    // What the snapshot knows is taken from it.
                    if !told {
                        surveyed.insert((template.clone(), schema.clone()), footer);
                    }
                } else {
                    left_out.insert(format!("{tenant}/{template}"));
                }
            }
            Err(error) => notes.push(format!(
                "files of `{template}` in schema `{schema}` were left out: {error}"
            )),
        }
    }
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.into_iter().collect();
        notes.push(format!(
            "this catalog does not have {}, whose files lie there; name them with `--tenant` or `--template` to restore them, too",
            names.join(", ")
        ));
    }
    surveyed
}

/// The footer of the newest day's file that can be read.
async fn newest(
    places: &[Landing],
    template: &TemplateName,
    schema: &SchemaName,
    days: &Days,
) -> Result<Footer> {
    let mut last = Error::refused("there is none");
    for (day, holders) in days.iter().rev() {
        let object = ObjectPath {
            template: template.clone(),
            schema: schema.clone(),
            day: *day,
        };
        for place in holders {
            match places[*place].open_file(&object).await {
                Ok(Some(file)) => return Ok(file.footer().clone()),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

/// A tenant without its source, its template unless there is one of that name, and the two enabled.
async fn adopt_pair(
    session: &crate::pg::Session,
    footer: &Footer,
    all: impl Iterator<Item = &Footer>,
) -> Result<()> {
    let origin = &footer.origin;
    let tenant = Tenant {
        name: origin.tenant.clone(),
        schema: origin.schema.clone(),
        url: None,
        password: None,
        vars: BTreeMap::new(),
        enabled: true,
    };
    snapshot::restore_tenant(session, &tenant).await?;
    if !templates::is_there(session, &origin.template).await? {
        let latest = all
            .filter(|f| f.origin.template == origin.template)
            .max_by_key(|f| (f.run, f.origin.day))
            .unwrap_or(footer);
        let template = Template::parse(origin.template.clone(), &latest.origin.template_source)
            .at(|| "the template in the footer".to_owned())?;
        templates::load(session, &template).await?;
    }
    let template = std::slice::from_ref(&origin.template);
    tenants::enable(session, &origin.tenant, template, None).await?;
    Ok(())
}
