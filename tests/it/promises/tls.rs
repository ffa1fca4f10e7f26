//! TLS against a real server, with certificates made here: which `sslmode` believes which server.

use crate::support::server::{self, block_on};
use crate::support::sessions::{access, asleep, cancelled, one, source};
use crate::support::shared::{keep, shared};
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use dayhaul::error::{Error, Kind};
use dayhaul::pg::{self, Access, Password, Purpose};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Who may log in, and how.
const HBA: &str = "\
local     all all trust
host      all postgres 127.0.0.1/32 trust
hostssl   all by_certificate 127.0.0.1/32 cert
hostssl   all by_password 127.0.0.1/32 scram-sha-256
hostnossl all by_password 127.0.0.1/32 scram-sha-256
hostssl   all only_tls 127.0.0.1/32 trust
hostnossl all only_tls 127.0.0.1/32 reject
hostssl   all only_plain 127.0.0.1/32 reject
hostnossl all only_plain 127.0.0.1/32 trust
";

type Authority = CertifiedIssuer<'static, KeyPair>;

struct World {
    port: u16,
    folder: PathBuf,
}

impl World {
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The server by the name its certificate holds, without asking any name service.
    fn words(&self, user: &str, more: &str) -> String {
        let port = self.port;
        format!("host=db.test hostaddr=127.0.0.1 port={port} user={user} dbname=postgres {more}")
    }

    /// As [`World::words`], verified against the right root.
    fn verified(&self, user: &str, more: &str) -> String {
        self.words(
            user,
            &format!("sslrootcert={} {more}", self.file("root.crt")),
        )
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let text = shared("tls", "promises::tls::keeper_of_the_tls_server");
        let (port, folder) = text.split_once('\n').unwrap();
        World {
            port: port.parse().unwrap(),
            folder: folder.into(),
        }
    })
}

#[test]
#[ignore = "not a test: keeps the server of the tests of this file"]
fn keeper_of_the_tls_server() {
    keep(|dir| {
        let (world, cluster) = start(dir);
        let text = format!("{}\n{}", world.port, world.folder.display());
        (cluster, text)
    });
}

fn start(dir: &Path) -> (World, Cluster) {
    let folder = dir.join("files");
    std::fs::create_dir(&folder).unwrap();
    let cluster = Cluster::start(&Programs::find().unwrap(), dir, &THROW_AWAY).unwrap();
    let root = authority("root");
    write(&folder, "root.crt", &root.pem());
    write(&folder, "other.crt", &authority("other").pem());
    let (certificate, key) = issue(&root, "db.test", &["db.test"]);
    for (name, text) in [
        ("server.crt", certificate),
        ("server.key", key),
        ("ca.crt", root.pem()),
    ] {
        let path = write(cluster.data_dir(), name, &text);
        cluster.own(&path).unwrap();
    }
    for user in ["by_certificate", "stranger"] {
        let (certificate, key) = issue(&root, user, &[]);
        write(&folder, &format!("{user}.crt"), &certificate);
        write(&folder, &format!("{user}.key"), &key);
    }
    server::run(
        &cluster.url("postgres"),
        "CREATE ROLE by_certificate LOGIN; CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN; \
         CREATE ROLE by_password LOGIN PASSWORD 'hunter2'",
    );
    std::fs::write(cluster.data_dir().join("pg_hba.conf"), HBA).unwrap();
    cluster
        .configure(&[("ssl", "on"), ("ssl_ca_file", "ca.crt")])
        .unwrap();
    cluster.reload();
    let world = World {
        port: cluster.port(),
        folder,
    };
    wait_for_tls(&world);
    (world, cluster)
}

/// The postmaster reads its configuration in its own time.
fn wait_for_tls(world: &World) {
    for _ in 0..200 {
        let tried = block_on(source(&world.words("only_tls", "sslmode=require")));
        if tried.is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no TLS after four seconds");
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM.
fn issue(by: &Authority, common_name: &str, names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Connects; whether the session is encrypted.
async fn encrypted(words: &str) -> Result<bool, Error> {
    let session = source(words).await?;
    let ssl = one(
        &session,
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    )
    .await;
    Ok(ssl == "t")
}

fn refused(words: &str) -> Error {
    let error = block_on(source(words)).expect_err(words);
    assert_eq!(error.kind(), Kind::Connect, "{words}: {error}");
    assert!(!error.is_transient(), "{words}: {error}");
    error
}

fn hint(error: &Error) -> &str {
    error.hint().unwrap_or_default()
}

#[test]
fn verify_full_believes_the_right_name_and_root_only() {
    let world = world();
    assert!(
        block_on(encrypted(
            &world.verified("only_tls", "sslmode=verify-full")
        ))
        .unwrap()
    );

    let wrong_name = world
        .verified("only_tls", "sslmode=verify-full")
        .replace("db.test", "other.test");
    let error = refused(&wrong_name);
    assert!(error.to_string().contains("db.test"), "{error}");
    assert!(hint(&error).contains("sslmode=verify-ca"));

    let other = world.file("other.crt");
    let error = refused(&world.words(
        "only_tls",
        &format!("sslmode=verify-full sslrootcert={other}"),
    ));
    assert!(hint(&error).contains("sslrootcert="), "{error}");
}

#[test]
fn verify_ca_believes_any_name_of_the_right_root() {
    let world = world();
    let words = world.verified("only_tls", "sslmode=verify-ca");
    assert!(block_on(encrypted(&words.replace("db.test", "other.test"))).unwrap());
    let other = world.file("other.crt");
    refused(&world.words(
        "only_tls",
        &format!("sslmode=verify-ca sslrootcert={other}"),
    ));
}

#[test]
fn require_believes_anybody_until_there_is_a_root() {
    let world = world();
    assert!(block_on(encrypted(&world.words("only_tls", "sslmode=require"))).unwrap());
    let other = world.file("other.crt");
    refused(&world.words("only_tls", &format!("sslmode=require sslrootcert={other}")));
    // By its address alone, without a name.
    let by_address = world
        .words("only_tls", "sslmode=require")
        .replace("host=db.test", "");
    assert!(block_on(encrypted(&by_address)).unwrap());
}

#[test]
fn a_plain_server_is_refused_by_every_mode_that_demands_tls() {
    let world = world();
    let root = world.file("root.crt");
    let plain = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        server::port()
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refused(&format!("{plain} sslmode={mode} sslrootcert={root}"));
        assert!(hint(&error).contains("ssl = on"), "{error}");
    }
    for mode in ["disable", "allow", "prefer"] {
        assert!(
            !block_on(encrypted(&format!("{plain} sslmode={mode}"))).unwrap(),
            "{mode}"
        );
    }
}

#[test]
fn allow_and_prefer_fall_back_each_their_way() {
    let world = world();
    let check = |user, mode| block_on(encrypted(&world.words(user, &format!("sslmode={mode}"))));
    // Let in either way: each mode's first choice.
    assert!(!check("postgres", "allow").unwrap());
    assert!(check("postgres", "prefer").unwrap());
    // Let in one way only: the other mode falls back.
    assert!(check("only_tls", "allow").unwrap());
    assert!(!check("only_plain", "prefer").unwrap());
    // A handshake that fails is never followed by plain text.
    let other = format!("sslmode=prefer sslrootcert={}", world.file("other.crt"));
    let error = refused(&world.words("postgres", &other));
    assert!(hint(&error).contains("sslrootcert"), "{error}");
    // No fallback where the mode forbids it.
    assert_eq!(
        refused(&world.words("only_tls", "sslmode=disable")).sqlstate(),
        Some("28000")
    );
    assert_eq!(
        refused(&world.words("only_plain", "sslmode=require")).sqlstate(),
        Some("28000")
    );
}

/// OpenSSL accepts it and rustls does not. `openssl x509 -req` made it, valid until 2126.
#[test]
fn a_certificate_of_version_1_is_refused_by_every_mode_and_never_led_around() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&Programs::find().unwrap(), folder.path(), &THROW_AWAY).unwrap();
    let words = |mode: &str| {
        let port = cluster.port();
        format!(
            "host=db.test hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres sslmode={mode}"
        )
    };
    for (name, text) in [
        ("server.crt", include_str!("../support/certificates/v1.crt")),
        ("server.key", include_str!("../support/certificates/v1.key")),
    ] {
        let path = write(cluster.data_dir(), name, text);
        cluster.own(&path).unwrap();
    }
    cluster.configure(&[("ssl", "on")]).unwrap();
    cluster.reload();
    for mode in ["prefer", "require"] {
        let error = refused_in_time(&words(mode), "version 1");
        assert!(hint(&error).contains("issue it as version 3"), "{error}");
    }
    assert!(!block_on(encrypted(&words("disable"))).unwrap());
    assert!(!block_on(encrypted(&words("allow"))).unwrap());
}

/// `openssl req -x509 -newkey rsa:1024` made it, valid until 2126. PostgreSQL's own OpenSSL would not load it here.
#[test]
fn a_key_that_is_too_short_is_named() {
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/certificates");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .unwrap()
        .port();
    let server = std::process::Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-quiet",
        ])
        .args(["-cert", "rsa1024.crt", "-key", "rsa1024.key"])
        .args(["-cipher", "DEFAULT@SECLEVEL=0", "-alpn", "postgresql"])
        .current_dir(certificates)
        .stdin(std::process::Stdio::piped())
        .spawn();
    let Ok(mut server) = server else {
        eprintln!("skipped: there is no `openssl` program");
        return;
    };
    let words = format!(
        "host=db.test hostaddr=127.0.0.1 port={port} user=x dbname=x sslmode=require sslnegotiation=direct"
    );
    let error = refused_in_time(&words, "2048 bits");
    assert!(!error.is_transient(), "{error}");
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The postmaster reads its configuration in its own time.
fn refused_in_time(words: &str, reason: &str) -> Error {
    let mut last = None;
    for _ in 0..200 {
        match block_on(source(words)) {
            Err(error) if format!("{error} {}", hint(&error)).contains(reason) => return error,
            other => last = Some(other.err()),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{words}: not refused for {reason}: {last:?}");
}

#[test]
fn limits_of_the_protocol_are_kept() {
    let world = world();
    let protocol = |more: &str| {
        let words = world.verified("only_tls", &format!("sslmode=verify-full {more}"));
        block_on(async {
            let session = source(&words).await?;
            let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            Ok::<_, Error>(one(&session, sql).await)
        })
    };
    assert_eq!(protocol("").unwrap(), "TLSv1.3");
    assert_eq!(
        protocol("ssl_max_protocol_version=TLSv1.2").unwrap(),
        "TLSv1.2"
    );
    assert_eq!(
        protocol("ssl_min_protocol_version=TLSv1.3").unwrap(),
        "TLSv1.3"
    );
    assert_eq!(protocol("sslsni=0").unwrap(), "TLSv1.3");
    let both = "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2";
    assert!(dayhaul::pg::Url::parse(both).is_err());
}

#[test]
fn a_client_certificate_is_kept_back_when_asked() {
    let world = world();
    let pair = format!(
        "sslmode=verify-full sslcert={} sslkey={}",
        world.file("by_certificate.crt"),
        world.file("by_certificate.key")
    );
    assert!(block_on(encrypted(&world.verified("by_certificate", &pair))).unwrap());
    refused(&world.verified("by_certificate", &format!("{pair} sslcertmode=disable")));
}

#[test]
fn a_client_certificate_lets_its_user_in() {
    let world = world();
    let pair = |name: &str| {
        format!(
            "sslmode=verify-full sslcert={} sslkey={}",
            world.file(&format!("{name}.crt")),
            world.file(&format!("{name}.key"))
        )
    };
    let words = world.verified("by_certificate", &pair("by_certificate"));
    assert!(block_on(encrypted(&words)).unwrap());
    refused(&world.verified("by_certificate", &pair("stranger")));
    refused(&world.verified("by_certificate", "sslmode=verify-full"));
}

#[test]
fn scram_binds_to_the_channel() {
    let world = world();
    let connect = |more: &str, password: &str| {
        let access = Access {
            password: Password::Value(password.to_owned().into()),
            ..access(&world.verified("by_password", more))
        };
        block_on(pg::connect(&access, Purpose::Source))
    };
    connect("sslmode=verify-full channel_binding=require", "hunter2").unwrap();
    connect("sslmode=disable", "hunter2").unwrap();
    let error = connect("sslmode=disable channel_binding=require", "hunter2").unwrap_err();
    assert!(error.to_string().contains("channel binding"), "{error}");

    for mode in ["verify-full", "prefer", "disable"] {
        let error = connect(&format!("sslmode={mode}"), "hunter3").unwrap_err();
        assert_eq!(
            (error.sqlstate(), error.kind()),
            (Some("28P01"), Kind::Connect)
        );
        assert!(hint(&error).contains("password"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter3"));
    }
    let error = refused(&world.verified("by_password", "sslmode=verify-full"));
    assert!(hint(&error).contains(".pgpass"), "{error}");
}

#[test]
fn the_password_file_lets_in_unless_others_can_read_it() {
    let world = world();
    let line = format!("db.test:{}:postgres:by_password:hunter2\n", world.port);
    let path = write(&world.folder, "pass", &line);
    let words = world.verified("by_password", &format!("passfile={}", path.display()));
    assert!(block_on(encrypted(&words)).unwrap());

    let open = write(&world.folder, "open_pass", &line);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = world.verified("by_password", &format!("passfile={}", open.display()));
    let error = block_on(source(&words)).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(hint(&error).contains("chmod 0600"), "{error}");
    // Where the password comes from elsewhere, the file does not matter.
    let access = Access {
        password: Password::Value("hunter2".to_owned().into()),
        ..access(&words)
    };
    block_on(pg::connect(&access, Purpose::Source)).unwrap();
}

#[test]
fn a_cancel_request_is_encrypted_like_its_session() {
    let world = world();
    block_on(async {
        let words = world.verified("only_tls", "sslmode=verify-full");
        let session = source(&words).await.unwrap();
        let other = source(&words).await.unwrap();
        let asleep = asleep(&session).await;
        let error = cancelled(&session, &other, &asleep).await;
        assert_eq!(error.sqlstate(), Some("57014"));
    });
}
