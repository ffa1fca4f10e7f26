//! Checks each setting's value and builds the [`Settings`].

use super::keys::{self, DEFAULT_FILE};
use super::quantity::{duration, size};
use super::read::{RawSetting, RawValue, SettingOrigin};
use super::salt;
use super::schemas::Schemas;
use super::sections::{LandingSettings, Load, ReplicaIdentity, Secrets, Settings, Warehouse};
use crate::error::{Error, Result};
use crate::unit::IDENTIFIER_BYTES;
use std::path::PathBuf;
use std::time::Duration;

/// The longest timeout PostgreSQL accepts: its settings are 32-bit milliseconds.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// A century: longer than any template's days.
const MAX_SWEEP_DAYS: u32 = 36_500;

/// The settings read so far, over the defaults.
pub(super) struct SettingsBuilder {
    url: Option<(String, SettingOrigin)>,
    password: Option<String>,
    owner_role: String,
    reader_role: String,
    replica_identity: ReplicaIdentity,
    schemas: Schemas,
    load: Load,
    landing: LandingSettings,
    secrets: Secrets,
    salt_file: Option<PathBuf>,
}

impl Default for SettingsBuilder {
    fn default() -> SettingsBuilder {
        SettingsBuilder {
            url: None,
            password: None,
            owner_role: "wh_admin".into(),
            reader_role: "wh_reader".into(),
            replica_identity: ReplicaIdentity::Default,
            schemas: Schemas::default(),
            load: Load::default(),
            landing: LandingSettings::default(),
            secrets: Secrets::default(),
            salt_file: None,
        }
    }
}

impl SettingsBuilder {
    /// Sets one value.
    ///
    /// # Errors
    /// The value is invalid; the message says what was expected.
    pub(super) fn take(&mut self, entry: RawSetting) -> Result<(), String> {
        let text = match entry.value {
            RawValue::List(items) if entry.section == "secrets" => {
                self.secrets.allow = items;
                return Ok(());
            }
            RawValue::Text(text) if entry.section != "secrets" => text,
            RawValue::List(_) => return Err("expected one value, not a list".into()),
            RawValue::Text(_) => {
                return Err("expected a list of strings, as in `[\"cmd:…\"]`".into());
            }
        };
        if entry.section == "landing" {
            return self.landing.take(entry.key, text);
        }
        let load = &mut self.load;
        match entry.key {
            "url" => self.url = Some((text, entry.place)),
            "password" => self.password = Some(text),
            "owner_role" => self.owner_role = role(text)?,
            "reader_role" => self.reader_role = role(text)?,
            "replica_identity" => self.replica_identity = ReplicaIdentity::parse(&text)?,
            key @ ("catalog_schema" | "public_schema") => self.schemas.take(key, text)?,
            "jobs" => load.jobs = count(&text, 64)?,
            "per_server" => load.per_server = count(&text, 64)?,
            "window_bytes" => load.window_bytes = window_bytes(&text)?,
            "range_bytes" => load.range_bytes = range_bytes(&text)?,
            "statement_timeout" => load.statement_timeout = timeout(&text, Duration::ZERO)?,
            "stall_timeout" => load.stall_timeout = timeout(&text, Duration::from_secs(1))?,
            "lock_timeout" => load.lock_timeout = timeout(&text, Duration::from_millis(1))?,
            "barrier_timeout" => load.barrier_timeout = timeout(&text, Duration::from_millis(1))?,
            "max_failures" => load.max_failures = count(&text, usize::MAX)?,
            "salt_file" => self.salt_file = Some(PathBuf::from(text)),
            "max_failures_per_tenant" => load.max_failures_per_tenant = count(&text, usize::MAX)?,
            "sweep_days" => load.sweep_days = sweep_days(&text)?,
            other => return Err(format!("unknown key `{other}`")),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Settings> {
        let (url, url_place) = self.url.ok_or_else(|| {
            Error::config("no warehouse is configured").with_hint(format!(
                "set `url = \"postgresql://…\"` in `[warehouse]` of {DEFAULT_FILE}, or set {}",
                keys::variable("warehouse", "url")
            ))
        })?;
        if self.owner_role == self.reader_role {
            return Err(Error::config(format!(
                "`{}` cannot be both `warehouse.owner_role` and `warehouse.reader_role`: readers would own what they read",
                self.owner_role
            )));
        }
        Ok(Settings {
            warehouse: Warehouse {
                url,
                url_place,
                password: self.password,
                owner_role: self.owner_role,
                reader_role: self.reader_role,
                replica_identity: self.replica_identity,
                schemas: self.schemas,
            },
            load: self.load,
            // A laptop lands nothing, even if the environment enables landing for the warehouse.
            landing: match self.salt_file {
                None => self.landing.check()?,
                Some(_) => LandingSettings::default(),
            },
            secrets: self.secrets,
            masks: self.salt_file.as_deref().map(salt::read_salt).transpose()?,
        })
    }
}

fn sweep_days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| *days <= MAX_SWEEP_DAYS);
    days.ok_or_else(|| format!("expected a number of days from 0 to {MAX_SWEEP_DAYS}"))
}

fn role(text: String) -> Result<String, String> {
    if text.is_empty() || text.len() > IDENTIFIER_BYTES || text.contains('\0') {
        return Err(format!(
            "a role name must have 1 to {IDENTIFIER_BYTES} bytes"
        ));
    }
    if text.starts_with("pg_") || ["public", "none"].contains(&text.as_str()) {
        return Err(format!("PostgreSQL reserves the role name `{text}`"));
    }
    Ok(text)
}

fn count(text: &str, most: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ if most == usize::MAX => Err(format!("`{text}` is not a whole number of at least 1")),
        _ => Err(format!("`{text}` is not a whole number from 1 to {most}")),
    }
}

fn window_bytes(text: &str) -> Result<usize, String> {
    match size(text)? {
        n if (1 << 16..=1 << 30).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not between 64kB and 1GB")),
    }
}

fn range_bytes(text: &str) -> Result<usize, String> {
    match size(text)? {
        n if n >= 1 << 16 => Ok(n),
        _ => Err(format!("`{text}` is less than 64kB")),
    }
}

fn timeout(text: &str, least: Duration) -> Result<Duration, String> {
    match duration(text)? {
        d if d > LONGEST_TIMEOUT => Err(format!(
            "`{text}` is longer than PostgreSQL's limit of 24 days"
        )),
        d if d < least => Err(format!("`{text}` is shorter than {least:?}")),
        d => Ok(d),
    }
}
