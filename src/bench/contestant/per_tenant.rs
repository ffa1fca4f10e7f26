//! A contestant that loads one tenant, run for every tenant of the sandbox.

use super::Contestant;
use super::statements::{commented, run_batch};
use crate::bench::environment::Work;
use crate::bench::fingerprint::{Fingerprint, RowReader};
use crate::bench::meter::{ContestantUsage, ProcessUsage};
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Result};
use crate::sql::ident;
use futures::stream::{StreamExt, TryStreamExt, iter};

/// As many tenants at once as jobs, each in a schema for it.
pub struct PerTenant<C>(pub C);

impl<C: Contestant> PerTenant<C> {
    /// Does something for every tenant.
    async fn for_each<T>(
        &self,
        sandbox: &Sandbox,
        work: for<'a> fn(&'a C, &'a Sandbox) -> Work<'a, T>,
    ) -> Result<Vec<T>> {
        let tenants = sandboxes(sandbox)?;
        let one = |tenant| {
            let done = work(&self.0, tenant);
            async move {
                done.await
                    .at(|| format!("tenant `{}`", tenant.source().schema))
            }
        };
        let all: Vec<_> = tenants.iter().map(one).collect();
        iter(all).buffer_unordered(sandbox.jobs).try_collect().await
    }
}

/// One for each tenant.
fn sandboxes(sandbox: &Sandbox) -> Result<Vec<Sandbox>> {
    let tenants = sandbox.sources.iter();
    tenants.map(|tenant| sandbox.of(tenant)).collect()
}

impl<C: Contestant> Contestant for PerTenant<C> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn title(&self) -> String {
        self.0.title()
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let (tenants, jobs) = (sandbox.sources.len(), sandbox.jobs);
        let all = format!(
            "For each of {tenants} tenants, up to {jobs} at once; its schema is created before, not timed:\n"
        );
        let first = self.0.script(&sandbox.of(sandbox.source())?)?;
        Ok(commented(&all, &first))
    }

    fn extension(&self) -> Option<&'static str> {
        self.0.extension()
    }

    fn left_out(&self, sandbox: &Sandbox) -> Option<&'static str> {
        self.0.left_out(sandbox)
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            let schemas: Vec<String> = sandboxes(sandbox)?
                .iter()
                .map(|tenant| format!("CREATE SCHEMA {}", ident(tenant.schema.as_str())))
                .collect();
            run_batch(sandbox, &schemas).await?;
            self.for_each(sandbox, C::prepare).await?;
            Ok(())
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            let used = self.for_each(sandbox, C::run).await?;
            let own = used.into_iter().filter_map(|tenant| tenant.own);
            let own = own.reduce(|mut all: ProcessUsage, one| {
                all.add(one);
                all
            });
            Ok(ContestantUsage {
                own,
                ..ContestantUsage::default()
            })
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(async move {
            let mut rows = RowReader::default();
            for tenant in self.for_each(sandbox, C::output).await? {
                rows.add(&tenant)?;
            }
            Ok(rows.fingerprint())
        })
    }
}
