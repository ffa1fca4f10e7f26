//! Where the values of a connection come from: what was written, the service, the environment. In this order, as in libpq.

use super::env::Env;
use super::parse::Url;
use super::service::Service;
use crate::error::{Error, Result};
use secrecy::{ExposeSecret, SecretString};

/// Each key's variable. Those of libpq that are missing here change nothing: `PGTZ`, `PGDATESTYLE`, `PGGEQO` and
/// `PGCLIENTENCODING` (sessions set their own), `PGKRBSRVNAME`, `PGGSSLIB` and `PGGSSDELEGATION` (GSSAPI is not spoken),
/// `PGSSLCOMPRESSION` and `PGMAXPROTOCOLVERSION` (what they limit is not done).
const VARIABLES: [(&str, &str); 27] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("dbname", "PGDATABASE"),
    ("passfile", "PGPASSFILE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslsni", "PGSSLSNI"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("application_name", "PGAPPNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("sslmode", "PGSSLMODE"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("options", "PGOPTIONS"),
    ("require_auth", "PGREQUIREAUTH"),
    ("gssencmode", "PGGSSENCMODE"),
    ("requirepeer", "PGREQUIREPEER"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("min_protocol_version", "PGMINPROTOCOLVERSION"),
];

/// A key that is honored for some of its values only.
struct Limited {
    key: &'static str,
    values: &'static [&'static str],
    hint: &'static str,
}

/// What these ask for must not be passed over in silence.
const LIMITED: [Limited; 8] = [
    Limited {
        key: "options",
        values: &[],
        hint: "Dayhaul sends no start-up options, because poolers refuse them, and sets what a query depends on itself; a search path is the tenant's: `dayhaul tenant set NAME --search-path …`",
    },
    Limited {
        key: "require_auth",
        values: &[],
        hint: "unset it; `channel_binding=require` insists on SCRAM over TLS",
    },
    Limited {
        key: "gssencmode",
        values: &["disable", "prefer"],
        hint: "use TLS: `gssencmode=disable sslmode=verify-full`",
    },
    Limited {
        key: "requirepeer",
        values: &[],
        hint: "unset it, or connect over TLS with `sslmode=verify-full`",
    },
    Limited {
        key: "sslcrl",
        values: &[],
        hint: "unset it; Dayhaul does not read revocation lists",
    },
    Limited {
        key: "sslcrldir",
        values: &[],
        hint: "unset it; Dayhaul does not read revocation lists",
    },
    Limited {
        key: "sslcertmode",
        values: &["disable", "allow"],
        hint: "write `allow`: a client certificate is presented when the server asks for one",
    },
    Limited {
        key: "min_protocol_version",
        values: &["3.0"],
        hint: "unset it; Dayhaul speaks version 3.0 of the protocol",
    },
];

/// The values of one connection.
pub struct Values<'a> {
    url: &'a Url,
    service: Service,
    env: Env<'a>,
}

impl<'a> Values<'a> {
    /// # Errors
    /// The service is not defined, or its section is not understood.
    pub fn of(url: &'a Url, env: Env<'a>) -> Result<Values<'a>> {
        Ok(Values {
            service: Service::find(url, env)?,
            url,
            env,
        })
    }

    /// What was written and nothing else.
    pub fn written(url: &'a Url) -> Values<'a> {
        Values {
            url,
            service: Service::default(),
            env: &|_| None,
        }
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let written = self.url.get(key).or_else(|| self.service.get(key));
        written
            .map(str::to_owned)
            .or_else(|| self.variable(key))
            .filter(|value| !value.is_empty())
    }

    fn variable(&self, key: &str) -> Option<String> {
        let (_, variable) = VARIABLES.iter().find(|(k, _)| *k == key)?;
        let value = (self.env)(variable);
        if key != "sslmode" {
            return value;
        }
        // The older form.
        value.or_else(|| {
            (self.env)("PGREQUIRESSL")
                .filter(|v| v.starts_with('1'))
                .map(|_| "require".to_owned())
        })
    }

    /// The password that is written, of the service, or of the environment.
    pub fn password(&self) -> Option<SecretString> {
        self.url
            .password()
            .or_else(|| self.service.password())
            .cloned()
            .or_else(|| (self.env)("PGPASSWORD").map(SecretString::from))
            .map(|p| super::secret::without_line_break(p.expose_secret()).into())
    }

    /// # Errors
    /// A key of libpq whose value asks for something that Dayhaul cannot do.
    pub fn check_supported(&self) -> Result<()> {
        for limited in &LIMITED {
            if let Some(value) = self.get(limited.key)
                && !limited.values.contains(&value.as_str())
            {
                return Err(self.unsupported(limited));
            }
        }
        Ok(())
    }

    /// Never shows the value.
    fn unsupported(&self, limited: &Limited) -> Error {
        let key = limited.key;
        let variable = VARIABLES.iter().find(|(k, _)| *k == key);
        let name = match variable {
            _ if self.url.get(key).is_some() => format!("connection string: key `{key}`"),
            _ if self.service.get(key).is_some() => {
                format!("service `{}`: key `{key}`", self.service.name())
            }
            Some((_, variable)) => format!("environment variable `{variable}`"),
            None => format!("key `{key}`"),
        };
        let which = if limited.values.is_empty() {
            String::new()
        } else {
            format!("; only {}", limited.values.join(" and "))
        };
        Error::config(format!("{name} is not supported{which}")).with_hint(limited.hint)
    }
}

/// A value that is not of its key's kind. The value is not repeated.
pub fn not_a(key: &str, what: &str) -> Error {
    Error::config(format!("`{key}` is not a {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_libpq_is_honored_refused_or_known_to_change_nothing() {
        // "Environment Variables" of the libpq chapter, PostgreSQL 18.
        let all = "PGHOST PGSSLNEGOTIATION PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGREQUIREAUTH \
            PGCHANNELBINDING PGSERVICE PGSERVICEFILE PGOPTIONS PGAPPNAME PGSSLMODE PGREQUIRESSL PGSSLCOMPRESSION PGSSLCERT \
            PGSSLKEY PGSSLCERTMODE PGSSLROOTCERT PGSSLCRL PGSSLCRLDIR PGSSLSNI PGREQUIREPEER PGSSLMINPROTOCOLVERSION \
            PGSSLMAXPROTOCOLVERSION PGGSSENCMODE PGKRBSRVNAME PGGSSLIB PGGSSDELEGATION PGCONNECT_TIMEOUT PGCLIENTENCODING \
            PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS PGMINPROTOCOLVERSION PGMAXPROTOCOLVERSION PGDATESTYLE PGTZ PGGEQO \
            PGSYSCONFDIR PGLOCALEDIR";
        let elsewhere = "PGPASSWORD PGSERVICE PGSERVICEFILE PGSYSCONFDIR PGREQUIRESSL";
        let harmless = "PGSSLCOMPRESSION PGKRBSRVNAME PGGSSLIB PGGSSDELEGATION PGCLIENTENCODING PGMAXPROTOCOLVERSION \
            PGDATESTYLE PGTZ PGGEQO PGLOCALEDIR";
        for variable in all.split_whitespace() {
            let has = |list: &str| list.split_whitespace().any(|v| v == variable);
            let read = VARIABLES.iter().any(|(_, v)| *v == variable);
            let judged = [read, has(elsewhere), has(harmless)];
            assert_eq!(judged.iter().filter(|j| **j).count(), 1, "{variable}");
        }
    }
}
