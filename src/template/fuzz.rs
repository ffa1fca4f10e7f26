//! Template files that no person writes.

use super::{Template, lint};
use crate::fuzz::fuzz;
use crate::unit::TemplateName;

const SAMPLES: [&[u8]; 4] = [
    include_bytes!("../../templates/flights.sql"),
    include_bytes!("../../templates/foodlogstats.sql"),
    b"/*\ntime_column = \"at\"\nunique = [\"id\"]\nindexes = [\"(lower(note))\", \"at desc\"]\nlookback_days = 3\n\n[columns]\n\
      id = \"bigint\"\nat = \"timestamptz\"\nnote = { type = \"varchar(20)\", land = \"text\" }\n*/\n\
      SELECT id, at, note FROM t WHERE at >= {from} AND at < {to} AND s = {tenant} AND v = {var:x} -- end\n",
    b"/* time_column = \"d\"\n[columns]\nd = \"date\"\nn = \"numeric(9,2)\" */ SELECT d, n FROM \"x y\" WHERE d = {day}\
      AND a = E'\\'' AND b = $q$ {from} $q$ /* /* */ */;",
];

#[test]
fn any_text_is_a_template_or_refused() {
    let name = TemplateName::parse("x").unwrap();
    fuzz("template", &SAMPLES, |bytes| {
        let source = String::from_utf8_lossy(bytes);
        for finding in lint(&name, &source) {
            finding.render("x.sql", &source);
        }
        let _ = Template::parse(name.clone(), &source);
    });
}
