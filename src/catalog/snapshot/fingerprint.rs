//! A short name for what a ledger holds.

use xxhash_rust::xxh3::Xxh3;

/// Fingerprint of a ledger: which units it has, and which rows each of them.
///
/// The first 12 hex digits of XXH3-128 over one line a unit, in order: `tenant template day rows digest`.
#[derive(Default)]
pub struct Fingerprint(Xxh3);

impl Fingerprint {
    pub fn add(&mut self, tenant: &str, template: &str, day: &str, rows: u64, digest: &str) {
        self.0
            .update(format!("{tenant} {template} {day} {rows} {digest}\n").as_bytes());
    }

    /// Lines as the server writes them, of units that follow each other.
    pub fn add_lines(&mut self, lines: &str) {
        self.0.update(lines.as_bytes());
    }

    pub fn id(&self) -> String {
        let mut id = format!("{:032x}", self.0.digest128());
        id.truncate(12);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_of_the_same_days_have_the_same_id() {
        let id = |units: &[(&str, u64, &str)]| {
            let mut content = Fingerprint::default();
            for (day, rows, digest) in units {
                content.add("acme", "event", day, *rows, digest);
            }
            content.id()
        };
        let one = id(&[("2024-01-01", 3, "ab"), ("2024-01-02", 0, "00")]);
        assert_eq!(one.len(), 12);
        assert_eq!(one, id(&[("2024-01-01", 3, "ab"), ("2024-01-02", 0, "00")]));
        assert_ne!(one, id(&[("2024-01-01", 3, "ac"), ("2024-01-02", 0, "00")]));
        assert_ne!(one, id(&[("2024-01-01", 3, "ab")]));
    }
}
