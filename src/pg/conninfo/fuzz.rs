//! Connection strings, password files and service files that no person writes.

use super::parse::Url;
use super::{passfile, service};
use crate::fuzz::fuzz;

#[test]
fn any_text_is_a_connection_string_or_refused() {
    let samples: [&[u8]; 6] = [
        b"postgresql://us%40er:p%2Fw@h1:5433,[::1],%2Ftmp:6000/d%20b?sslmode=verify-full&application_name=x",
        b"host = h  password='it\\'s a \\\\' user=a\\ b dbname='' port=1,2 hostaddr=::1,127.0.0.1",
        b"postgres:///db?host=/run/pg&port=7&connect_timeout=-1&keepalives=0&target_session_attrs=read-write",
        b"postgres://h/db?ssl=true&options=-c%20x%3Dy&service=wh",
        b"sslrootcert=system sslmode=verify-full ssl_min_protocol_version=TLSv1.3 load_balance_hosts=random",
        "host=h\u{e4}user=\u{1f600} password=\u{0}".as_bytes(),
    ];
    fuzz("connection string", &samples, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(url) = Url::parse(&text) {
            // What is stored in the catalog says the same.
            let again = Url::parse(&url.redacted()).unwrap();
            assert_eq!(again.redacted(), url.redacted());
            url.endpoint();
        }
    });
}

#[test]
fn any_text_is_a_password_file() {
    let samples: [&[u8]; 3] = [
        b"# h:1:db:me:comment\nh:2:db:me:other\nh:1:db:me:first\n*:*:*:*:any\n",
        b"localhost:5432:d\\:b:m\\\\e:p\\:w\\\\d\n",
        b"broken\nh:*:*\r\n:::::\n\\",
    ];
    let wanted = ["h", "1", "db", "me"].map(str::to_owned);
    fuzz("password file", &samples, |bytes| {
        passfile::search(&String::from_utf8_lossy(bytes), &wanted);
    });
}

#[test]
fn any_text_is_a_service_file_or_refused() {
    let samples: [&[u8]; 3] = [
        b"# mine\n[other]\nhost=no\n\n[wh]\n  host=h1  \nport=7\ndbname=d=x\npassword=p\n[wh2]\nhost=no\n",
        b"[wh]\nservice=x\nldap://h\nsslmode=\n=\n",
        b"[wh]x\n[wh\n]\r\n[[wh]]\nuser = a b\n",
    ];
    fuzz("service file", &samples, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = service::section(&text, "wh", "f".as_ref());
    });
}
