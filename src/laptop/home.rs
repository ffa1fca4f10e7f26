//! The folder of a laptop, with its server, configuration, password and salt.
//!
//! ```text
//! DIR/dayhaul.toml   the configuration: all other commands work with `--config DIR/dayhaul.toml`
//!     salt           mixed into every hash; kept as long as the laptop
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

/// Settings for a server that is kept: rows lost in a crash can be loaded again, a broken cluster cannot.
const STAYS: [(&str, &str); 1] = [("synchronous_commit", "off")];

/// Views over many tenants lock all their tables and indexes; the default is enough for a few tenants only.
const ROOM_FOR_LOCKS: (&str, &str) = ("max_locks_per_transaction", "256");

/// All our files in the folder, the salt last: it marks the others as ours.
const FILES: [&str; 4] = ["dayhaul.toml", "password", "pgpass", "salt"];

/// The part of the warehouse's configuration that the laptop's gets.
pub struct InheritedSettings {
    jobs: usize,
    per_server: usize,
    allow: Vec<String>,
}

impl InheritedSettings {
    pub fn of(settings: &Settings) -> InheritedSettings {
        InheritedSettings {
            jobs: settings.load.jobs,
            per_server: settings.load.per_server,
            allow: settings.secrets.allow.clone(),
        }
    }
}

/// What a folder contains.
pub enum FolderContent {
    /// Nothing: it is empty or does not exist.
    Nothing,
    Laptop(Box<Home>),
    /// A laptop that was never finished.
    Unfinished,
}

/// A laptop's folder and server.
pub struct Home {
    dir: PathBuf,
    cluster: PersistentCluster,
    port: u16,
    salt: Salt,
    /// It is kept when the command ends.
    stays: bool,
    /// It is to be kept once it has content.
    keep: bool,
}

impl Home {
    /// Opens the laptop in `dir`, or creates one, and starts its server. Without `dir`, it is in the temporary folder.
    ///
    /// # Errors
    /// The folder has other content; no server programs; a server that does not start.
    pub fn open_or_create(
        dir: Option<PathBuf>,
        keep: bool,
        reset: bool,
        inherited: &InheritedSettings,
    ) -> Result<Home> {
        let dir = dir.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("dayhaul-laptop-{}", std::process::id()))
        });
        let mut home = match Home::find(&dir)? {
            FolderContent::Laptop(mut home) if reset => {
                home.stop()?;
                home.remove();
                Home::create(&dir, keep)?
            }
            FolderContent::Laptop(home) => *home,
            FolderContent::Unfinished if reset => {
                remove_files(&dir);
                Home::create(&dir, keep)?
            }
            FolderContent::Unfinished => {
                return Err(Error::refused(format!(
                    "`{}` contains a laptop that was never finished",
                    dir.display()
                ))
                .with_hint("recreate it with `dayhaul laptop DIR --keep --reset`"));
            }
            FolderContent::Nothing => Home::create(&dir, keep)?,
        };
        home.start()?;
        home.write_configuration(inherited)?;
        Ok(home)
    }

    /// Looks into `dir`, and changes nothing.
    ///
    /// # Errors
    /// It has other content; the server programs of its cluster no longer exist.
    pub fn find(dir: &Path) -> Result<FolderContent> {
        let empty = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => return Err(io_error("read", dir, e)),
        };
        if empty {
            return Ok(FolderContent::Nothing);
        }
        let dir = fs::canonicalize(dir).map_err(|e| io_error("read", dir, e))?;
        let salt = fs::read_to_string(dir.join("salt")).unwrap_or_default();
        let Some(salt) = Salt::parse(salt.trim()) else {
            return Err(Error::refused(format!(
                "`{}` is not empty, and it is no laptop",
                dir.display()
            ))
            .with_hint("choose a folder that is empty or does not exist yet"));
        };
        let whole = dir.join("dayhaul.toml").is_file();
        Ok(match PersistentCluster::open(&dir.join("postgres"))? {
            Some(cluster) if whole => FolderContent::Laptop(Box::new(Home {
                port: 0,
                dir,
                cluster,
                salt,
                stays: true,
                keep: true,
            })),
            _ => FolderContent::Unfinished,
        })
    }

    fn create(dir: &Path, keep: bool) -> Result<Home> {
        let programs = Programs::find()?;
        if let Some(above) = dir.parent() {
            fs::create_dir_all(above).map_err(|e| io_error("create", above, e))?;
        }
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(io_error("create", dir, e));
            }
            _ => {}
        }
        let dir = fs::canonicalize(dir).map_err(|e| io_error("read", dir, e))?;
        let made = Home::create_in(&dir, keep, &programs);
        if made.is_err() {
            remove_files(&dir);
        }
        made
    }

    fn create_in(dir: &Path, keep: bool, programs: &Programs) -> Result<Home> {
        let salt = Salt::new(random()?);
        write_secret(&dir.join("salt"), &format!("{}\n", salt.hex()))?;
        let password = Salt::new(random()?).hex();
        write_secret(&dir.join("password"), &format!("{password}\n"))?;
        write_secret(
            &dir.join("pgpass"),
            &format!("127.0.0.1:*:*:*:{password}\n"),
        )?;
        let mut settings = if keep {
            STAYS.to_vec()
        } else {
            THROW_AWAY.to_vec()
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

    /// Starts the server, unless it runs. A server that is not to be kept ends with this process.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> Result<()> {
        let again = |e: Error| {
            e.with_hint("if it is broken, recreate it with `dayhaul laptop DIR --keep --reset`")
        };
        self.port = self.cluster.start(!self.keep).map_err(again)?;
        let path = self.configuration();
        if let Ok(text) = fs::read_to_string(&path) {
            // The port may be another one.
            let url = format!("url = {}", quoted(&self.url()));
            let lines = text.lines().map(|line| {
                if line.starts_with("url = ") {
                    &url
                } else {
                    line
                }
            });
            let text = lines.collect::<Vec<_>>().join("\n") + "\n";
            write_secret(&path, &text)?;
        }
        Ok(())
    }

    /// Stops the server; `false` when it was not running.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<bool> {
        self.cluster.stop()
    }

    /// From now on it is kept when the command ends, if the user asked for that.
    pub fn keep_if_wanted(&mut self) {
        self.stays |= self.keep;
    }

    /// Whether it is kept when the command ends.
    pub fn is_kept(&self) -> bool {
        self.stays
    }

    /// Stops and removes it, unless it is kept.
    pub async fn leave(self) {
        // Joining fails only if a drop panics; there is nothing left to do then.
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

    /// The URL for psql and other clients of libpq.
    pub fn readers_url(&self) -> String {
        let passfile = percent_encoded(&self.dir.join("pgpass").display().to_string());
        format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}?passfile={passfile}",
            self.port
        )
    }

    /// The laptop's settings, from its configuration alone; environment variables are ignored.
    ///
    /// # Errors
    /// The file was edited and is not valid.
    pub fn settings(&self) -> Result<Settings> {
        let path = self.configuration();
        let text = fs::read_to_string(&path).map_err(|e| io_error("read", &path, e))?;
        Settings::from_parts(Some((&path, &text)), [])
    }

    /// The URL in the configuration: it leads here whatever `PG*` variables are set.
    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}?hostaddr=127.0.0.1&sslmode=disable&sslnegotiation=postgres\
             &channel_binding=prefer&target_session_attrs=any",
            self.port
        )
    }

    fn write_configuration(&self, inherited: &InheritedSettings) -> Result<()> {
        let mut text =
            String::from("# Written by `dayhaul laptop` each time it runs.\n[warehouse]\n");
        let file = |name: &str| self.dir.join(name).display().to_string();
        let allow: Vec<String> = inherited.allow.iter().map(|text| quoted(text)).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "url = {}\npassword = {}\n\n[load]\njobs = {}\nper_server = {}\n\n[secrets]\nallow = [{}]\n\n\
             [laptop]\nsalt_file = {}\n",
            quoted(&self.url()),
            quoted(&format!("file:{}", file("password"))),
            inherited.jobs,
            inherited.per_server,
            allow.join(", "),
            quoted(&file("salt")),
        );
        write_secret(&self.configuration(), &text)
    }

    fn remove(&mut self) {
        remove_files(&self.dir);
        // There is nothing left to stop.
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

/// Removes our files, and the folder if it is then empty.
fn remove_files(dir: &Path) {
    let _ = fs::remove_dir_all(dir.join("postgres"));
    for file in FILES {
        let _ = fs::remove_file(dir.join(file));
    }
    let _ = fs::remove_dir(dir);
}

/// Writes a file that only the user may read, as a whole or not at all.
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
    Error::new(Kind::Io, format!("failed to {verb} `{}`", path.display())).with_source(e)
}

/// Runs blocking work on another thread.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(Kind::Bug, "a part of the laptop panicked").with_source(e))?
}
