//! Which shares of the tenants other hosts take.

use crate::catalog::registry::tenants::Shard;
use crate::error::Result;
use crate::pg::Session;

/// The option that gives a run its share.
pub const OPTION: &str = "--shard";

/// The latest run of a host that took a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostShard {
    pub run: i64,
    pub host: String,
    pub shard: Shard,
}

/// Hosts whose latest run of the last day divided the tenants into another number of shares than `shard` does.
///
/// # Errors
/// The warehouse's.
pub async fn divided_otherwise(session: &Session, shard: Shard) -> Result<Vec<HostShard>> {
    let wh = session.catalog();
    let rows = session
        .query(
            &format!(
                "SELECT DISTINCT ON (host) id, host, arguments FROM {wh}.run \
                 WHERE started_at > clock_timestamp() - interval '1 day' \
                   AND EXISTS (SELECT FROM unnest(arguments) AS a WHERE a LIKE $1 || '%') \
                 ORDER BY host, id DESC"
            ),
            &[&OPTION],
        )
        .await?;
    let hosts = rows.iter().filter_map(|row| {
        let arguments: Vec<String> = row.get(2);
        Some(HostShard {
            run: row.get(0),
            host: row.get(1),
            shard: given(&arguments)?,
        })
    });
    Ok(hosts.filter(|host| host.shard.of != shard.of).collect())
}

/// The share of a command line.
fn given(arguments: &[String]) -> Option<Shard> {
    let at = arguments.iter().position(|a| a.starts_with(OPTION))?;
    let value = match arguments[at].strip_prefix(OPTION)?.strip_prefix('=') {
        Some(value) => value,
        None => arguments.get(at + 1)?,
    };
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_from_a_command_line() {
        let given = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            given(&arguments).map(|shard| shard.to_string())
        };
        assert_eq!(given("sync --shard 2/5 --quiet").as_deref(), Some("2/5"));
        assert_eq!(given("sync --shard=1/3").as_deref(), Some("1/3"));
        assert_eq!(given("sync --quiet"), None);
        assert_eq!(given("sync --shard"), None);
        assert_eq!(given("sync --shard 9/5"), None);
    }
}
