//! Rebuilds the catalog from a snapshot, or from the files' footers.

use super::find::{DayPlaces, FoundFiles};
use crate::catalog::registry::{pairs, templates, tenants};
use crate::catalog::snapshot::{self, Snapshot, restored};
use crate::catalog::{Catalog, Selection, Tenant};
use crate::error::{At, Error, Result};
use crate::landing::{Footer, Landing, ObjectPath};
use crate::pg::{SearchPath, Session};
use crate::template::Template;
use crate::unit::{SchemaName, TemplateName, TenantName, Window};
use std::collections::{BTreeMap, BTreeSet};

/// What to add to the catalog, and from where.
#[derive(Debug)]
pub struct Adoption<'a> {
    pub places: &'a [Landing],
    pub found: &'a FoundFiles,
    pub snapshot: Option<&'a Snapshot>,
    pub selection: &'a Selection,
    /// The days that were requested, for the record.
    pub days: Option<Window>,
}

/// What was added to the catalog.
#[derive(Debug, Default)]
pub struct Adopted {
    /// The restore's row in `_wh.restored`.
    pub record: i64,
    pub tenants: Vec<TenantName>,
    pub templates: Vec<TemplateName>,
    /// What was skipped, and why.
    pub notes: Vec<String>,
}

/// What the catalog holds already.
struct CatalogContents {
    tenants: Vec<Tenant>,
    templates: BTreeSet<TemplateName>,
    pairs: BTreeSet<(TenantName, TemplateName)>,
    /// It is empty, or a restore made it: every file is restored into it.
    takes_all: bool,
}

impl CatalogContents {
    async fn read(catalog: &Catalog) -> Result<CatalogContents> {
        let session = catalog.session();
        let tenants = tenants::list(session).await?;
        let registered = templates::list(session).await?;
        let restored = restored::latest(session).await?.is_some();
        let pairs = pairs::all(session, &Selection::default()).await?;
        Ok(CatalogContents {
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

/// Adds the tenants, templates and pairs that the catalog lacks, and records that a restore begins, in one transaction. A
/// catalog that no restore made gets only what the selection names.
///
/// # Errors
/// A tenant or schema of that name exists and is different; errors of the warehouse.
pub async fn adopt(catalog: &Catalog, adoption: &Adoption<'_>) -> Result<Adopted> {
    let known = CatalogContents::read(catalog).await?;
    let mut adopted = Adopted::default();
    let footers = newest_footers(adoption, &known, &mut adopted.notes).await;
    let sources: Vec<String> = adoption.places.iter().map(|p| p.url().to_owned()).collect();
    let snapshot = adoption.snapshot;
    adopted.record = catalog
        .transaction(async |session| {
            if let Some(snapshot) = snapshot {
                let takes = |tenant: &str, template: &str| {
                    known.takes_all || names(adoption.selection, tenant, template)
                };
                snapshot::adopt(session, snapshot, adoption.selection, takes).await?;
            }
            for (unit, footer) in &footers {
                adopt_pair(session, footer, footers.values())
                    .await
                    .at(|| format!("files of `{}` in schema `{}`", unit.0, unit.1))?;
            }
            let last_run = footers.values().map(|f| f.run).max().unwrap_or(0);
            snapshot::go_on_after(session, last_run).await?;
            let taken = snapshot.and_then(|s| Some((s.id.as_str(), s.taken_at()?)));
            let was_empty = known.tenants.is_empty();
            restored::add(session, &sources, taken, adoption.days, was_empty).await
        })
        .await?;
    let after = CatalogContents::read(catalog).await?;
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

/// The newest footer of each pair that is neither in the catalog nor in the snapshot.
async fn newest_footers(
    adoption: &Adoption<'_>,
    known: &CatalogContents,
    notes: &mut Vec<String>,
) -> BTreeMap<(TemplateName, SchemaName), Footer> {
    let mut footers = BTreeMap::new();
    let mut skipped = BTreeSet::new();
    for ((template, schema), days) in &adoption.found.units {
        let in_snapshot = adoption
            .snapshot
            .is_some_and(|snapshot| has_pair(snapshot, template, schema));
        if known.has(template, schema) || (in_snapshot && known.takes_all) {
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
                    // What is in the snapshot is taken from there.
                    if !in_snapshot {
                        footers.insert((template.clone(), schema.clone()), footer);
                    }
                } else {
                    skipped.insert(format!("{tenant}/{template}"));
                }
            }
            Err(error) => notes.push(format!(
                "files of `{template}` in schema `{schema}` were skipped: {error}"
            )),
        }
    }
    if !skipped.is_empty() {
        let names: Vec<String> = skipped.into_iter().collect();
        notes.push(format!(
            "files of {} were skipped, because they are not in this catalog; to restore them, add `--tenant` or `--template`",
            names.join(", ")
        ));
    }
    footers
}

fn has_pair(snapshot: &Snapshot, template: &TemplateName, schema: &SchemaName) -> bool {
    let mut pairs = snapshot.pairs.iter();
    snapshot.tenant_of(schema).is_some_and(|tenant| {
        pairs.any(|pair| pair.tenant == tenant.name && pair.template == template.as_str())
    })
}

/// The footer of the newest file that can be read.
async fn newest(
    places: &[Landing],
    template: &TemplateName,
    schema: &SchemaName,
    days: &DayPlaces,
) -> Result<Footer> {
    let mut last = Error::refused("no file exists");
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

/// Adds a tenant without its source, and its template unless one of that name exists; enables the template.
async fn adopt_pair(
    session: &Session,
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
        source_schema: None,
        search_path: SearchPath::Unknown,
    };
    snapshot::restore_tenant(session, &tenant).await?;
    if !templates::is_there(session, &origin.template).await? {
        let latest = all
            .filter(|f| f.origin.template == origin.template)
            .max_by_key(|f| (f.run, f.origin.day))
            .unwrap_or(footer);
        let template = Template::parse(origin.template.clone(), &latest.origin.template_source)
            .at(|| "template in the footer".to_owned())?;
        templates::load(session, &template).await?;
    }
    let template = std::slice::from_ref(&origin.template);
    tenants::enable(session, &origin.tenant, template, None).await?;
    Ok(())
}
