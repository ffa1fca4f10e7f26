//! Where a laptop lives: a folder with its server, its configuration, its password and its salt.
//!
//! ```text
//! DIR/dayhaul.toml   the configuration: every other command works with `--config DIR/dayhaul.toml`
//!     salt           mixed into every hash; lives as long as the laptop
//!     password       of `postgres`, for the configuration
//!     pgpass         the same for psql
//!     postgres/      the cluster
//! ```

use crate::cluster::{PersistentCluster, Programs, THROW_AWAY};
use crate::config::Settings;
use crate::error::{Error, Kind, Result};
use crate::schema::Salt;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The database that is the laptop's warehouse.
pub const DATABASE: &str = "laptop";

/// Settings for a server that stays: what a crash may cost is fetched again, a broken cluster is not.
const STAYS: [(&str, &str); 1] = [("synchronous_commit", "off")];

/// Views over many tenants lock every table and index below them; a stock server has room for a few tenants.
const ROOM_FOR_LOCKS: (&str, &str) = ("max_locks_per_transaction", "256");

/// Everything that is ours in the folder, the salt last: it says that the rest is.
const FILES: [&str; 4] = ["dayhaul.toml", "password", "pgpass", "salt"];

/// What of the warehouse's configuration goes into the laptop's.
pub struct Wishes {
    jobs: usize,
    per_server: usize,
    allow: Vec<String>,
}

impl Wishes {
    pub fn of(settings: &Settings) -> Wishes {
        Wishes {
            jobs: settings.load.jobs,
            per_server: settings.load.per_server,
            allow: settings.secrets.allow.clone(),
        }
    }
}

/// What stands in a folder.
pub enum Found {
    /// Nothing: it is empty, or not there.
    Nothing,
    Laptop(Box<Home>),
    /// A laptop that never came to life.
    Ruin,
}

/// A laptop's folder and server.
pub struct Home {
    dir: PathBuf,
    cluster: PersistentCluster,
    port: u16,
    salt: Salt,
    /// It stays when the command ends.
    stays: bool,
    /// It is to stay once something is in it.
    keep: bool,
}

impl Home {
    /// Finds the laptop in `dir`, or makes one; its server runs then. `dir`: `None` for a folder among the temporary files.
    ///
    /// # Errors
    /// The folder holds something else; no server programs; a server that does not start.
    pub fn enter(dir: Option<PathBuf>, keep: bool, reset: bool, wishes: &Wishes) -> Result<Home> {
        let dir = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("dayhaul-laptop-{}", std::process::id()))
        });
        let mut home = match Home::find(&dir)? {
            Found::Laptop(mut home) if reset => {
                home.stop()?;
                home.remove();
                Home::make(&dir, keep)?
            }
            Found::Laptop(home) => *home,
            Found::Ruin if reset => {
                remove_files(&dir);
                Home::make(&dir, keep)?
            }
            Found::Ruin => {
                return Err(Error::refused(format!(
                    "`{}` holds a laptop that was never finished",
                    dir.display()
                ))
                .with_hint("make it anew with `--reset`"));
            }
            Found::Nothing => Home::make(&dir, keep)?,
        };
        home.start()?;
        home.write_configuration(wishes)?;
        Ok(home)
    }

    /// Looks what stands in `dir`, and touches nothing.
    ///
    /// # Errors
    /// Something that is no laptop; the server programs that made it are gone.
    pub fn find(dir: &Path) -> Result<Found> {
        let empty = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(io_error("read", dir, e)),
        };
        if empty {
            return Ok(Found::Nothing);
        }
        let dir = fs::canonicalize(dir).map_err(|e| io_error("read", dir, e))?;
        let salt = fs::read_to_string(dir.join("salt")).unwrap_or_default();
        let Some(salt) = Salt::parse(salt.trim()) else {
            return Err(Error::refused(format!(
                "`{}` holds something, and it is no laptop of Dayhaul's",
                dir.display()
            ))
            .with_hint("name a folder that is empty, or not there yet"));
        };
        let whole = dir.join("dayhaul.toml").is_file();
        Ok(match PersistentCluster::open(&dir.join("postgres"))? {
            Some(cluster) if whole => Found::Laptop(Box::new(Home {
                port: 0,
                dir,
                cluster,
                salt,
                stays: true,
                keep: true,
            })),
            _ => Found::Ruin,
        })
    }

    fn make(dir: &Path, keep: bool) -> Result<Home> {
        let programs = Programs::find()?;
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above).map_err(|e| io_error("make", above, e))?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io_error("make", dir, e));
            }
            _ => {}
        }
        let dir = fs::canonicalize(dir).map_err(|e| io_error("read", dir, e))?;
        let made = Home::furnish(&dir, keep, &programs);
        if made.is_err() {
            remove_files(&dir);
        }
        made
    }

    fn furnish(dir: &Path, keep: bool, programs: &Programs) -> Result<Home> {
        let salt = Salt::new(random()?);
        write_secret(&dir.join("salt"), &format!("{}\n", salt.hex()))?;
        let password = Salt::new(random()?).hex();
        write_secret(&dir.join("password"), &format!("{password}\n"))?;
        write_secret(
            &dir.join("pgpass"),
            &format!("127.0.0.1:*:*:*:{password}\n"),
        )?;
        let mut settings = match keep {
            true => STAYS.to_vec(),
            false => THROW_AWAY.to_vec(),
        };
        settings.push(ROOM_FOR_LOCKS);
        let cluster =
            PersistentCluster::make(programs, &dir.join("postgres"), &password, &settings)?;
        Ok(Home {
            dir: dir.to_owned(),
            cluster,
            port: 0,
            salt,
            stays: false,
            keep,
        })
    }

    /// Starts the server, unless it runs; one that is not to stay ends with us.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> Result<()> {
        let again = |e: Error| e.with_hint("make it anew with `--reset` if it is broken");
        self.port = self.cluster.start(!self.keep).map_err(again)?;
        let path = self.configuration();
        if let Ok(text) = fs::read_to_string(&path) {
            // It may have got another port.
            let url = format!("url = {}", quoted(&self.url()));
            let lines = text.lines().map(|line| match line.starts_with("url = ") {
                true => url.as_str(),
                false => line,
            });
            let text = lines.collect::<Vec<_>>().join("\n") + "\n";
            write_secret(&path, &text)?;
        }
        Ok(())
    }

    /// Stops the server; whether it ran.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<bool> {
        self.cluster.stop()
    }

    /// From now on it stays, if it was asked to.
    pub fn worth_keeping(&mut self) {
        self.stays |= self.keep;
    }

    /// Whether it stays when the command ends.
    pub fn is_kept(&self) -> bool {
        self.stays
    }

    /// Ends what is not to stay.
    pub async fn leave(self) {
        // Joining can only fail by a panic in a drop; nothing is left to be done then.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// PostgreSQL's major version.
    pub fn version(&self) -> u32 {
        self.cluster.version()
    }

    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    pub fn configuration(&self) -> PathBuf {
        self.dir.join("dayhaul.toml")
    }

    /// What psql and other clients of libpq connect with.
    pub fn readers_url(&self) -> String {
        let passfile = percent_encoded(&self.dir.join("pgpass").display().to_string());
        format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}?passfile={passfile}",
            self.port
        )
    }

    /// The laptop's settings, as its configuration has them; no environment variable has a say.
    ///
    /// # Errors
    /// Somebody else wrote it.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.configuration();
        let text = fs::read_to_string(&path).map_err(|e| io_error("read", &path, e))?;
        Settings::from_parts(Some((&path, &text)), [])
    }

    /// As the configuration has it: whatever `PG*` variables say, it leads here.
    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}?hostaddr=127.0.0.1&sslmode=disable&sslnegotiation=postgres\
             &channel_binding=prefer&target_session_attrs=any",
            self.port
        )
    }

    fn write_configuration(&self, wishes: &Wishes) -> Result<()> {
        let mut text = String::from(
            "# Written by `dayhaul laptop`, and again whenever it runs.\n[warehouse]\n",
        );
        let file = |name: &str| self.dir.join(name).display().to_string();
        let allow: Vec<String> = wishes.allow.iter().map(|text| quoted(text)).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "url = {}\npassword = {}\n\n[load]\njobs = {}\nper_server = {}\n\n[secrets]\nallow = [{}]\n\n\
             [laptop]\nsalt_file = {}\n",
            quoted(&self.url()),
            quoted(&format!("file:{}", file("password"))),
            wishes.jobs,
            wishes.per_server,
            allow.join(", "),
            quoted(&file("salt")),
        );
        write_secret(&self.configuration(), &text)
    }

    fn remove(&mut self) {
        remove_files(&self.dir);
        // Of the laptop nothing is left to be ended.
        self.stays = true;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.stays {
            let _ = self.cluster.stop();
            self.remove();
        }
    }
}

/// Removes what is ours, and the folder if nothing else is in it.
fn remove_files(dir: &Path) {
    let _ = fs::remove_dir_all(dir.join("postgres"));
    for file in FILES {
        let _ = fs::remove_file(dir.join(file));
    }
    let _ = fs::remove_dir(dir);
}

/// Writes a file that nobody else may read, whole or not at all.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("new");
    let _ = fs::remove_file(&aside);
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|e| io_error("write", path, e))
}

fn random() -> Result<[u8; 32]> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 32];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| io_error("read", source, e))?;
    Ok(bytes)
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// As a parameter of a URL.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn io_error(verb: &str, path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot {verb} `{}`", path.display())).with_source(e)
}

/// Runs blocking work beside the runtime.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(Kind::Bug, "a part of the laptop panicked").with_source(e))?
}
